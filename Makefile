PYTHON ?= python3
BIN = .venv/bin
# .venv/ready names the file that was installed, so that `make run` after `make setup REQUIREMENTS=…` keeps to it.
INSTALLED := $(shell cat .venv/ready 2>/dev/null)
REQUIREMENTS ?= $(or $(INSTALLED),requirements.txt)

.PHONY: run test test-fast setup lint

run: .venv/ready
	$(BIN)/python app.py

# Two workers, as CI has two cores. Each takes whole files, so that what a file's tests share is made once, and in
# their order, which puts the long ones first.
PYTEST = $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test: .venv/ready-tests
	$(PYTEST)

test-fast: .venv/ready-tests
	$(PYTEST) -m "not model and not browser"

setup: .venv/ready

lint: .venv/ready-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Made from another file, it is as good as not made.
ifneq ($(INSTALLED),$(REQUIREMENTS))
.PHONY: .venv/ready
endif

# The interpreter is checked first: pip's own message about it comes late and is hard to read.
.venv/ready: $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "MedQA needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	@rm -f $@
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing $(REQUIREMENTS) into .venv; the first time takes minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	@echo $(REQUIREMENTS) > $@

.venv/ready-tests: .venv/ready tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@
