import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIGHT = [
    "medqa.question",
    "medqa.spec",
    "medqa.runs",
    "medqa.settings",
    "medqa.launch",
    "medqa.adapters",
    "medqa.evaluate",
    "medqa.prompt",
    "medqa.paste",
    "medqa.estimate",
    "medqa.hub",
    "medqa.scope",
    "medqa.export",
    "medqa.receipt",
    "medqa.reproduce",
    "medqa.disputes",
    "medqa.gpus",
    "medqa.ui.views",
    "medqa.ui.charts",
    "medqa.ui.run_views",
    "medqa.ui.receipt_view",
]


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


def importers(folder, *wanted, but=()):
    """The source files of a folder, or the one file, that import one of the wanted modules or what is in them."""
    found = []
    for path in sorted(ROOT.glob(folder if folder.endswith(".py") else f"{folder}/**/*.py")):
        relative = path.relative_to(ROOT)
        names = imported(path.read_text(encoding="utf-8"), list(relative.parent.parts))
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


def test_what_the_page_shows_first_loads_neither_torch_nor_transformers_nor_gradio():
    code = (
        "import importlib, sys\n"
        f"for name in {LIGHT}:\n"
        "    importlib.import_module(name)\n"
        "    loaded = [m for m in ('torch', 'transformers', 'peft', 'datasets', 'gradio') if m in sys.modules]\n"
        "    if loaded: sys.exit(f'{name} loads {loaded}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
