"""What Prefect and DVC add: to a whole run, and where there is nothing to do.

Each repeat, in a clone: the whole job through `python -m flows`; the same stages as bare processes, one
after the other; then, with nothing to do, `python -m flows` with its own server and with one that runs
already, `dvc repro` and `dvc status`.
"""

import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks import project
from benchmarks.figures import Figure, Part, medians
from benchmarks.options import Options
from benchmarks.project import PYTHON
from benchmarks.turns import in_order, ratios

IDLE_AT_MOST = 0.12
IDLE = {
    "flows, own server": [PYTHON, "-m", "flows"],
    "flows, running server": [PYTHON, "-m", "flows"],
    "dvc repro": [PYTHON, "-m", "dvc", "repro"],
    "dvc status": [PYTHON, "-m", "dvc", "status"],
}


def measure(options: Options) -> Part:
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        alone = project.environment(Path(folder, "prefect"))
        workspace = Path(folder, "workspace")
        project.clone(workspace)
        home = Path(folder, "server")
        with project.server(options.port, alone | {"PREFECT_HOME": str(home)}) as served:
            environments = dict.fromkeys(IDLE, alone) | {"flows, running server": served}
            for repeat in range(options.repeats):
                _full(workspace, alone, found, repeat)
                # Twice: the first hashes what has been written anew.
                for _ in range(2):
                    project.measure(IDLE["dvc repro"], workspace, alone)
                for name in in_order(list(IDLE), repeat):
                    taken = project.measure(IDLE[name], workspace, environments[name])
                    found[f"nothing to do, {name}"].append(taken.seconds)
    job = found["whole job"]
    names = [f"nothing to do, {name}" for name in IDLE]
    figures = [
        Figure("whole job / its stages alone, in turn", ratios(job, found["stages, in turn"])),
        *(
            Figure(f"{name} / whole job", ratios(found[name], job), None if number else IDLE_AT_MOST)
            for number, name in enumerate(names)
        ),
        Figure("nothing to do, flows, running server / dvc status", ratios(found[names[1]], found[names[3]])),
    ]
    return Part(figures, medians(found))


def _full(workspace: Path, environment: dict[str, str], found: dict[str, list[float]], repeat: int) -> None:
    """The job, and its stages one by one, both from nothing."""
    sides = {
        "whole job": [[PYTHON, "-m", "flows", "--force"]],
        "stages, in turn": [*project.stages().values()],
    }
    for name in in_order(list(sides), repeat):
        project.forget(workspace)
        taken = [project.measure(command, workspace, environment).seconds for command in sides[name]]
        found[name].append(sum(taken))
