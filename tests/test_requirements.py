import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ["requirements.txt", "requirements-rocm.txt"]
SOURCES = sorted([*ROOT.glob("*.py"), *ROOT.glob("medqa/**/*.py"), *ROOT.glob("train/**/*.py")])
# What needs CUDA, or is built for NVIDIA first.
FORBIDDEN = re.compile(
    r"(bitsandbytes|flash[-_.]attn.*|xformers|nvidia([-_.].*)?|pynvml|triton|deepspeed|apex|cupy.*|cuda[-_.]python)$",
    re.I,
)


def requirement_lines(file):
    lines = [line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    return [line for line in lines if line]


def pins(file):
    """{package: version}; a line that is no exact pin has the version None."""
    split = [line.partition("==") for line in requirement_lines(file) if not line.startswith("-")]
    return {name.strip(): version.strip() if equals else None for name, equals, version in split}


def imported(text):
    """The top-level names of all absolute imports, also those inside functions."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(
    "name", ["bitsandbytes", "flash-attn", "flash_attn_3", "nvidia-ml-py", "nvidia_ml_py", "nvidia"]
)
def test_the_rule_knows_what_is_for_cuda_only(name):
    assert FORBIDDEN.match(name)


@pytest.mark.parametrize("name", ["torch", "transformers", "pytorch-triton-rocm", "amdsmi"])
def test_the_rule_leaves_alone_what_runs_on_rocm(name):
    assert not FORBIDDEN.match(name)


@pytest.mark.parametrize(
    "text", ["import apex.amp", "def f():\n from apex import amp", "try:\n import apex\nexcept E: 0"]
)
def test_an_import_is_found_wherever_it_stands(text):
    assert imported(text) == {"apex"}


@pytest.mark.parametrize("file", FILES)
def test_no_cuda_only_package_is_required(file):
    assert [name for name in pins(file) if FORBIDDEN.match(name)] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_cuda_only_package_is_imported(path):
    assert [name for name in imported(path.read_text(encoding="utf-8")) if FORBIDDEN.match(name)] == []


@pytest.mark.parametrize("file", [*FILES, "tests/requirements.txt"])
def test_every_package_is_pinned_to_one_version(file):
    assert {name: version for name, version in pins(file).items() if not re.fullmatch(r"[\w.+]+", version or "")} == {}


def test_both_files_pin_the_same_packages_and_differ_in_torchs_build_alone():
    cpu, rocm = map(pins, FILES)
    assert rocm == {**cpu, "torch": f"{cpu['torch']}+rocm7.2"}


def test_only_the_rocm_file_names_another_package_index_and_it_is_amds():
    options = {file: [line for line in requirement_lines(file) if line.startswith("-")] for file in FILES}
    assert options == {FILES[0]: [], FILES[1]: ["--extra-index-url https://download.pytorch.org/whl/rocm7.2"]}


def test_a_space_runs_the_gradio_that_is_pinned():
    front_matter = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert f"sdk_version: {pins(FILES[0])['gradio']}\n" in front_matter


# make


@pytest.fixture
def made(tmp_path):
    """made(*arguments): the requirement files that `make` installs, with an environment whose pip does nothing."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    for file in ("Makefile", *FILES, "tests/requirements.txt"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    shutil.copy(python, python.with_name("pytest"))

    def make(*arguments):
        done = subprocess.run(["make", *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return re.findall(r"pip install .*-r (\S+)", done.stdout)

    return make


def test_what_is_installed_is_not_installed_again(made):
    assert made("run") == [FILES[0]]
    assert made("run") == []
    assert made("test") == ["tests/requirements.txt"]
    assert made("test") == []


def test_another_requirements_file_is_installed_and_then_kept_to(made):
    made("setup")
    assert made("setup", f"REQUIREMENTS={FILES[1]}") == [FILES[1]]
    assert made("run") == []
    assert made("run", f"REQUIREMENTS={FILES[1]}") == []
    assert made("setup", f"REQUIREMENTS={FILES[0]}") == [FILES[0]]
