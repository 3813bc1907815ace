"""The whole job in a fresh clone, and its `train` stage, against the conventional script.

Each repeat runs, as whole processes: the job from nothing, download and page included; the `train` stage on
what it prepared; `import torch` alone, the floor of the memory; the script.
"""

import json
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path

from benchmarks import project
from benchmarks.figures import Figure, Part, medians
from benchmarks.options import Options
from benchmarks.project import PYTHON
from benchmarks.report import has_avx512
from benchmarks.turns import in_order, ratios

TRAINED = ("models/model.safetensors", "reports/training.csv")
JOB_AT_MOST = {True: 0.30, False: 0.22}  # with AVX-512, without
TRAIN_AT_MOST = 0.12


def measure(options: Options) -> Part:
    found: dict[str, list[float]] = defaultdict(list)
    peaks: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = project.environment(Path(folder, "prefect"))
        images = Path(folder, "workspace0/data/raw")  # the job is first there
        for repeat in range(options.repeats):
            workspace = Path(folder, f"workspace{repeat}")
            project.clone(workspace)
            script = [PYTHON, "-m", "benchmarks.conventional"]
            script += [f"--workers={options.workers}", f"--data={images}"]
            sides = [
                partial(_job, workspace, environment, found, peaks),
                partial(_script, script, workspace, environment, found),
            ]
            for side in in_order(sides, repeat):
                side()
    name = "train stage, whole process / the script's epochs and tests"
    figures = [
        Figure("whole job / script", ratios(found["whole job"], found["script"]), JOB_AT_MOST[has_avx512()]),
        Figure(name, ratios(found["train stage"], found["script's epochs and tests"]), TRAIN_AT_MOST),
        Figure("peak memory of train / of `import torch`", ratios(*peaks.values())),
    ]
    return Part(figures, medians(found) | medians(peaks, "MB"))


def _job(
    workspace: Path,
    environment: dict[str, str],
    found: dict[str, list[float]],
    peaks: dict[str, list[float]],
) -> None:
    """The whole job, then its training once more, and the least that this could take."""
    job = project.measure([PYTHON, "-m", "flows", "--force"], workspace, environment)
    for name in TRAINED:  # so that nothing of the job's own training is left to use
        (workspace / name).unlink()
    train = project.measure([PYTHON, "-m", "stages.train"], workspace, environment)
    torch = project.measure([PYTHON, "-c", "import torch"], workspace, environment)
    found["whole job"].append(job.seconds)
    for name, used in {"train stage": train, "import torch": torch}.items():
        found[name].append(used.seconds)
        peaks[name].append(used.peak_bytes / 1e6)


def _script(
    command: list[str], workspace: Path, environment: dict[str, str], found: dict[str, list[float]]
) -> None:
    results = workspace / "conventional.json"
    whole = project.measure([*command, f"--json={results}"], workspace, environment)
    epochs = json.loads(results.read_text())
    found["script"].append(whole.seconds)
    found["script's epochs and tests"].append(epochs["train_seconds"] + epochs["test_seconds"])
