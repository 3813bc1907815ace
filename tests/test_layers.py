"""Who may know whom: flows → prefect_dvc → (child process) → stages → digits, and which room the other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# From the ground up: a room imports those before it alone.
ROOMS = [
    "common",
    "data",
    "networks",
    "training",
    *("models", "losses", "solvers", "schedules"),
    "calibration",
    "evaluation",
    "onnx",
    "runtimes",
    "page",
    "shift",
    "sets",
    "parameters",
    "sweeps",
]
CHOICES = {"models", "losses", "solvers", "schedules"}
ALLOWED = {
    "digits": {"digits"},
    "stages": {"stages", "digits"},
    "flows": {"flows", "prefect_dvc", "digits"},
    "prefect_dvc": {"prefect_dvc"},
    "benchmarks": {"benchmarks", "digits"},
}
# What runs in processes of Ray, which are children, too.
IN_CHILDREN = {"flows/trials.py": {"stages.trial"}}
OURS = {"digits", "stages", "flows", "prefect_dvc", "benchmarks", "tests"}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: write imports in full"
            found |= {node.module or ""}
            if (node.module or "").split(".")[0] in OURS:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_what_it_may_know(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for file in files:
        known = ALLOWED[folder]
        for name in imports(file):
            if name.split(".")[0] in OURS:
                children = IN_CHILDREN.get(str(file.relative_to(ROOT)), set())
                mine = name.split(".")[0] in known or any(f"{name}.".startswith(f"{c}.") for c in children)
                assert mine, f"{file} imports {name}"


@pytest.mark.parametrize("folder", ["prefect_dvc", "flows"])
def test_no_private_member_of_dvc_or_prefect_is_used(folder: str) -> None:
    others = {"os._exit", "found._asdict"}  # of Python
    for file in (path for path in (ROOT / folder).rglob("*.py") if "tests" not in path.parts):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and _is_private(node.attr):
                used = ast.unparse(node)
                assert used in others or used.startswith(("self.", "cls.")), f"{file} uses {used}"
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not [name for name in names if any(map(_is_private, name.split(".")))], file


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_every_folder_of_digits_is_a_room() -> None:
    assert {path.parent.name for path in (ROOT / "digits").glob("*/__init__.py")} == set(ROOMS)
    assert [path.name for path in (ROOT / "digits").glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    below = {room, *ROOMS[: ROOMS.index(room)]}
    if room in CHOICES:
        below -= CHOICES  # a choice knows no other one, of its own kind or another
    for file in (ROOT / "digits" / room).glob("*.py"):
        for name in imports(file):
            if name.startswith("digits."):
                assert name.split(".")[1] in below, f"{file} imports {name}"


@pytest.mark.parametrize("module", ["flows.pipeline", "flows.sweep", "digits.parameters.schema"])
def test_what_plans_the_work_loads_no_torch_and_no_stage(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{n.split('.')[0] for n in sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert not {"torch", "onnx", "onnxruntime", "stages"} & set(loaded.stdout.split())
    assert "rfc3987_syntax" not in loaded.stdout.split(), (
        "a grammar that takes a second; see SLOW in Makefile"
    )
