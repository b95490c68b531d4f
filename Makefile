PYTHON ?= python3
REQUIREMENTS ?= requirements.txt
BIN = .venv/bin

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

# The interpreter is checked first: pip's own message about it comes late and is hard to read.
.venv/ready: $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "MedQA needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	touch $@

.venv/ready-tests: .venv/ready tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@
