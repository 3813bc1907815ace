"""Each dvc.yaml names every file of this project that a stage uses, so that no edit goes unnoticed."""

import ast
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from digits.common.choices import names
from tests.project import ROOT

PIPELINE, ROBUSTNESS = (
    YAML(typ="safe").load(ROOT / path)["stages"] for path in ("dvc.yaml", "robustness/dvc.yaml")
)
STAGES = PIPELINE | ROBUSTNESS
PARAMETERS = YAML(typ="safe").load(ROOT / "params.yaml")
VERSIONS = "versions.yaml"
OURS = ("digits", "stages")
# What these write down of the chosen files stands for the files; see stages/parameters.py.
WRITTEN_DOWN = {
    "data/choices/model.json": ["digits/models"],
    "data/choices/losses.json": ["digits/losses"],
    "data/choices/runtimes.json": ["digits/runtimes"],
}
# They are chosen by name while a stage runs, which no walk of imports sees.
CHOSEN = {
    "parameters": ["models", "losses", "runtimes"],
    "download": ["sets"],
    "train": ["models", "losses", "solvers", "schedules"],
    "crossfit": ["models", "losses", "solvers", "schedules"],
    "calibrate": ["models"],
    "evaluate": ["models"],
    "export": ["models"],
    "verify": ["models", "runtimes"],
    "robustness": ["models"],
}


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
    """All files behind a module, its imports followed to their end."""
    names_found, waiting = set(), {module, module.split(".")[0]}
    while waiting:
        name = waiting.pop()
        names_found.add(name)
        waiting |= written_imports(name) - names_found
    return {str(file.relative_to(ROOT)) for name in names_found if (file := module_file(name))}


def used_files(stage: str) -> set[str]:
    """What a stage imports, and what it finds by the names in params.yaml."""
    files = imported_files(f"stages.{stage}")
    chosen = {"models": "mlp", "losses": "cross_entropy", "solvers": "sgd", "schedules": "constant"}
    for kind in CHOSEN.get(stage, []):
        for name in [chosen[kind]] if kind in chosen else names(f"digits.{kind}"):
            files |= imported_files(f"digits.{kind}.{name}")
    if stage == "parameters":
        # What the rooms say of their sections need not be named, for each stage checks its own; and the
        # chosen files are read here, not run.
        rooms = ("common", "parameters", "parameters.py", *CHOSEN[stage])
        files = {f for f in files if f.split("/")[1] in rooms}
    return {f for f in files if not holds_nothing(f)}


def holds_nothing(file: str) -> bool:
    """Whether it only describes its folder, or loads what decides how torch computes."""
    body = ast.parse((ROOT / file).read_text()).body
    imports = [ast.unparse(node) for node in body[1:]]
    return file.endswith("/__init__.py") and imports in ([], ["from digits.common import numerics"])


def declared(stage: str) -> list[str]:
    """Its code in dvc.yaml, with the committed choices."""
    found: list[str] = []
    for path in STAGES[stage]["deps"]:
        for name in ("model", "solver", "schedule"):
            path = path.replace(f"${{train.{name}}}", PARAMETERS["train"][name])
        # Of the sets, any: what one of them uses is there for all.
        path = path.replace("/${data.set}.py", "")
        found += WRITTEN_DOWN.get(path, []) or ([path] if path.split("/")[0] in OURS else [])
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_every_file_that_a_stage_uses_is_a_dependency(stage: str) -> None:
    missing = [
        f for f in used_files(stage) if not any(f == d or f.startswith(f"{d}/") for d in declared(stage))
    ]
    assert sorted(missing) == []


@pytest.mark.parametrize("stage", STAGES)
def test_no_dependency_is_superfluous(stage: str) -> None:
    files = used_files(stage)
    assert [d for d in declared(stage) if not any(f == d or f.startswith(f"{d}/") for f in files)] == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_few_dependencies_of_code(stage: str) -> None:
    assert len([d for d in STAGES[stage]["deps"] if d.split("/")[0] in OURS]) <= 6


def test_a_missing_dependency_would_be_noticed() -> None:
    """The walk sees what is imported at the top, within a function, and by a name in params.yaml."""
    assert {"digits/training/loop.py", "digits/networks/devices.py"} <= used_files("train")
    assert {"digits/solvers/sgd.py", "digits/networks/perceptron.py"} <= used_files("train")
    assert "digits/solvers/adamw.py" not in used_files("train")


ASK = """
import json, os, runpy, sys
import matplotlib.figure, onnxruntime, onnxscript, torch  # once for all, which takes most of the time
import digits.common.stage as commands

def tell(packages, *_):
    print(json.dumps([stage, *packages]), flush=True)
    os._exit(0)

for stage in sys.argv[1:]:
    if not os.fork():
        commands.versions.require = tell
        commands.workspace.claim = lambda: None
        runpy.run_module(f"stages.{stage}", run_name="__main__")
        os._exit(1)
    os.wait()
"""


@pytest.fixture(scope="module")
def asked() -> dict[str, set[str]]:
    """The packages whose versions each stage asks for when it begins."""
    command = [sys.executable, "-W", "ignore", "-c", ASK, *STAGES]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return {stage: set(packages) for stage, *packages in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("stage", STAGES)
def test_the_versions_that_a_stage_asks_for_are_in_the_graph(stage: str, asked: dict[str, set[str]]) -> None:
    params = [p[VERSIONS] for p in STAGES[stage]["params"] if isinstance(p, dict) and VERSIONS in p]
    known = YAML(typ="safe").load(ROOT / VERSIONS)
    in_graph = set(known if params == [None] else params[0] if params else [])
    assert asked[stage] == in_graph - {"openvino", "opencv-python-headless"}


def test_the_readme_shows_the_graph_of_dvc_yaml() -> None:
    drawing = (ROOT / "README.md").read_text().split("flowchart LR\n")[1].split("```")[0]
    chains = [line.split(" --> ") for line in map(str.strip, drawing.splitlines()) if line]
    drawn = {pair for chain in chains for pair in pairwise(chain)}
    makers = {}
    for name, stage in PIPELINE.items():
        for out in (*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])):
            makers[out if isinstance(out, str) else next(iter(out))] = name
    assert drawn == {
        (makers[d], name) for name, stage in PIPELINE.items() for d in stage["deps"] if d in makers
    }
