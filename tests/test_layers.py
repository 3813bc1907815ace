"""Who may know whom: flows → (child process) → stages → digits."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What flows may know of digits: what needs no torch.
WITHOUT_TORCH = (
    "data",
    "errors",
    "files",
    "locking",
    "parameters",
    "parameters_file",
    "pictures",
    "recipes",
    "sweep_plan",
    "sweep_results",
)
ALLOWED = {
    "digits": {"digits"},
    "stages": {"stages", "digits"},
    "flows": {"flows", *(f"digits.{name}" for name in WITHOUT_TORCH)},
    "benchmarks": {"benchmarks", "digits"},
}
# What runs in processes of Ray, which are children, too.
IN_CHILDREN = {"flows/trials.py": {"stages.trial"}}
OURS = {"digits", "stages", "flows", "benchmarks", "tests"}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: write imports in full"
            found |= {node.module or ""}
            if node.module in OURS:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_what_it_may_know(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for file in files:
        for name in imports(file):
            if name.split(".")[0] in OURS:
                parts = name.split(".")
                prefixes = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
                # `from digits import parameters` names `digits`, too.
                known = ALLOWED[folder] | ({"digits"} & {name})
                known |= IN_CHILDREN.get(str(file.relative_to(ROOT)), set())
                assert prefixes & known, f"{file} imports {name}"


@pytest.mark.parametrize("module", ["flows.pipeline", "flows.sweep"])
def test_flows_load_no_torch_and_no_stage(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{n.split('.')[0] for n in sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert not {"torch", "onnx", "onnxruntime", "stages"} & set(loaded.stdout.split())
