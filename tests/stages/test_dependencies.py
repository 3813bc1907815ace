"""dvc.yaml names every file of this project that a stage imports, so that no edit goes unnoticed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.project import ROOT

STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
OURS = ("digits", "stages")


def module_file(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def written_imports(name: str) -> set[str]:
    """The modules of this project that a module's code imports anywhere, also within functions."""
    file = module_file(name)
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())) if file else ():
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    parents = {found_name.rsplit(".", 1)[0] for found_name in found if "." in found_name}
    return {n for n in found | parents if n.split(".")[0] in OURS and module_file(n)}


def imported_files(module: str) -> set[str]:
    """All files behind a module: written imports, followed to their end, and what is loaded on import."""
    code = f"import sys, {module}; print(*(n for n in sys.modules if n.split('.')[0] in {OURS}))"
    loaded = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    names, waiting = set(), {module, *loaded.split()}
    while waiting:
        name = waiting.pop()
        names.add(name)
        waiting |= written_imports(name) - names
    return {str(file.relative_to(ROOT)) for name in names if (file := module_file(name))}


@pytest.mark.parametrize("stage", STAGES)
def test_every_imported_file_is_a_dependency(stage: str) -> None:
    declared = STAGES[stage]["deps"]
    files = imported_files(f"stages.{stage}")
    missing = [f for f in files if not any(f == d or f.startswith(f"{d}/") for d in declared)]
    assert sorted(missing) == []


@pytest.mark.parametrize("stage", STAGES)
def test_no_dependency_is_superfluous(stage: str) -> None:
    code = [d for d in STAGES[stage]["deps"] if d.split("/")[0] in OURS]
    files = imported_files(f"stages.{stage}")
    assert [d for d in code if not any(f == d or f.startswith(f"{d}/") for f in files)] == []


def test_a_missing_dependency_would_be_noticed() -> None:
    """The walk sees what is imported at the top, within a function, and by discovery."""
    files = imported_files("stages.train")
    assert {"digits/training/loop.py", "digits/networks/devices.py", "digits/solvers/sgd.py"} <= files
    assert "digits/networks/devices.py" in imported_files("stages.download")
