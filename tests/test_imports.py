"""Who may import whom: the host runs without torch, Qt, and the packages that need them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

HEAVY = {"torch", "torchaudio", "lightning", "onnx", "onnxscript", "librosa", "musdb", "museval"}
QT = {"PySide6", "PySide2", "PyQt5", "PyQt6", "pyqtgraph", "shiboken6"}
RULES = {
    "realtime": HEAVY | QT | {"gui", "models", "export", "tests", "run_live"},
    "gui": HEAVY | {"realtime", "models", "export", "tests", "run_live"},
    "export": QT | {"gui", "tests", "run_live"},
    "models": QT | {"gui", "tests", "run_live"},
}


def imported(path: Path) -> set[str]:
    """Return the top level names that `path` imports anywhere, as statements or by name."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # A relative import stays in its package only if it climbs no higher.
            package = path.relative_to(ROOT).parts[:-1]
            module = (node.module or "").split(".")[0]
            names.add(module if node.level == 0 else package[0] if node.level <= len(package) else module)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                names.add(node.args[0].value.split(".")[0])
    return names


@pytest.mark.parametrize("package", RULES)
def test_no_file_imports_what_its_package_may_not(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(ROOT)): sorted(imported(path) & RULES[package]) for path in files}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_what_ships_the_separators_imports_nothing():
    assert imported(ROOT / "models" / "__init__.py") | imported(ROOT / "models" / "pretrained" / "__init__.py") <= {
        "__future__"
    }


def run(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_importing_all_of_the_host_loads_neither_torch_nor_qt_nor_the_other_packages():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted((ROOT / "realtime").rglob("*.py"))
    ]
    modules = [name.removesuffix(".__init__") for name in modules]
    run(
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        f"loaded = {{name.split('.')[0] for name in sys.modules}} & set({sorted(RULES['realtime'])!r})\n"
        "assert not loaded, loaded\n"
    )


def test_a_separator_runs_and_files_are_separated_where_torch_qt_and_onnx_are_missing(tmp_path):
    run(
        "import sys\n"
        f"for name in {sorted(HEAVY | QT)!r}: sys.modules[name] = None\n"
        "import numpy as np, soundfile, run_live\n"
        f"soundfile.write({str(tmp_path / 'song.wav')!r}, np.zeros((3000, 2)), 44100)\n"
        f"assert run_live.main(['separate', {str(tmp_path / 'song.wav')!r}, '-o', {str(tmp_path)!r}, '--model', 'identity']) == 0\n"
        "assert run_live.main(['models']) == 0\n"
        "assert run_live.main(['osc', '--model', 'identity']) == 0\n"
    )
