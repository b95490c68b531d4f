import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What computes. All else of the library loads in a moment; the page is there before its model.
COMPUTING = (
    "batch", "device", "engine", "graphed_batch", "lean_decoder", "model", "read_prompts", "reader", "trial_pass",
    "writing",
)  # fmt: skip
HEAVY = {f"medqa.{name}" for name in COMPUTING}
VIEWS = ("views", "charts", "run_views", "receipt_view", "probe_views")


def imported(text, package):
    """Dotted names of all imports, also those inside functions; `from a import b` names a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            names |= {source, *(f"{source}.{alias.name}" for alias in node.names)}
    return names


@cache
def imported_by(path):
    return imported(path.read_text(encoding="utf-8"), list(path.relative_to(ROOT).parent.parts))


def importers(folder, *wanted, but=()):
    """The source files of a folder, or the one file, that import one of the wanted modules or what is in them."""
    found = []
    for path in sorted(ROOT.glob(folder if folder.endswith(".py") else f"{folder}/**/*.py")):
        relative = path.relative_to(ROOT)
        names = imported_by(path)
        inside = any(name == module or name.startswith(f"{module}.") for name in names for module in wanted)
        if inside and not str(relative).startswith(but):
            found.append(str(relative))
    return found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import medqa.ui.page as page", "medqa.ui.page"),
        ("from medqa.ui import page", "medqa.ui.page"),
        ("def f():\n    from medqa import ui", "medqa.ui"),
        ("from . import ui", "medqa.ui"),
        ("from .ui import page", "medqa.ui.page"),
    ],
)
def test_an_import_is_found_however_it_is_written(text, name):
    assert name in imported(text, ["medqa"])


def test_the_rules_find_what_they_look_for():
    assert "medqa/launch.py" in importers("medqa", "medqa.runs")
    assert "medqa/device.py" in importers("medqa", "torch")
    assert importers("medqa", "torch", but="medqa/") == []


def test_only_the_page_imports_gradio():
    assert importers("medqa", "gradio", but="medqa/ui/") + importers("train", "gradio") == []


def test_the_library_never_imports_the_page():
    assert importers("medqa", "medqa.ui", "app", but=("medqa/ui/", "medqa/__main__.py")) == []


def test_the_library_never_imports_the_trainer():
    assert importers("medqa", "train") == []


def test_the_trainer_imports_neither_the_page_nor_what_starts_it():
    assert importers("train", "medqa.ui", "medqa.launch", "app") == []


@pytest.mark.parametrize("module", ["question", "spec", "runs", "settings", "evaluate", "hub", "prompt", "paste"])
def test_what_carries_values_imports_nothing_that_loads_models_or_starts_processes(module):
    assert importers(f"medqa/{module}.py", "medqa.engine", "medqa.model", "medqa.device", "medqa.launch") == []


def modules(folder):
    """Dotted names of all in a folder, in their order; a package goes by its own."""
    found = [path.relative_to(ROOT).with_suffix("") for path in sorted(ROOT.glob(f"{folder}/**/*.py"))]
    return [".".join(path.parts).removesuffix(".__init__") for path in found if path.name != "__main__"]


def is_view(name):
    return name.startswith(tuple(f"medqa.ui.{view}" for view in VIEWS))


def loaded_by(names, libraries):
    """The first of these modules, imported in turn, that loads one of the libraries; "" when none does."""
    code = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [m for m in {libraries} if m in sys.modules]\n"
        "    if loaded: sys.exit(f'{name} loads {loaded}')\n"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stderr


def test_what_does_not_compute_loads_neither_torch_nor_transformers_nor_gradio():
    light = [name for name in modules("medqa") if name not in HEAVY and (".ui." not in name or is_view(name))]
    assert {"medqa.trust", "medqa.probes.order", "medqa.probes.edits.age", "medqa.ui.probe_views.order"} < set(light)
    assert loaded_by(light, ("torch", "transformers", "peft", "datasets", "gradio")) == ""


def test_the_page_is_built_without_what_computes():
    page = [name for name in modules("medqa/ui") if not is_view(name)]
    assert "medqa.ui.page" in page
    assert loaded_by(page, ("torch", "transformers", "peft", "datasets")) == ""


def test_the_rule_finds_what_computes():
    assert loaded_by(["medqa.question", "medqa.device"], ("torch", "gradio")) == "medqa.device loads ['torch']\n"
