"""What stages side by side save: the whole job with two of them at a time against one.

Each is `python -m flows --force`, from nothing, in the same clone; all must leave the same dvc.lock.
"""

import tempfile
from functools import partial
from pathlib import Path

from benchmarks import project
from benchmarks.figures import Figure, Part, medians
from benchmarks.options import Options
from benchmarks.project import PYTHON, BenchError
from benchmarks.turns import in_turns, ratios


def measure(options: Options) -> Part:
    locks: set[bytes] = set()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = project.environment(Path(folder, "prefect"))
        workspace = Path(folder, "workspace")
        project.clone(workspace)

        def run(jobs: int) -> None:
            project.forget(workspace)
            command = [PYTHON, "-m", "flows", "--force", "--jobs", str(jobs)]
            project.measure(command, workspace, environment)
            locks.add((workspace / "dvc.lock").read_bytes())

        sides = {f"{jobs} at a time": partial(run, jobs) for jobs in (2, 1)}
        found = in_turns(sides, options.repeats, warm=False)
    if len(locks) != 1:
        raise BenchError(f"{2 * options.repeats} runs have left {len(locks)} different dvc.lock")
    two, one = found.values()
    return Part(
        [Figure("whole job, stages two at a time / one", ratios(two, one))],
        medians(found),
        [f"{2 * options.repeats} runs have left the same dvc.lock, with the hashes of all outputs"],
    )
