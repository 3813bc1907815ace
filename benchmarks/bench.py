"""Compare the pipeline with the conventional script: seconds and memory, measured in turns in one run.

Each repeat runs, as whole processes: (a) the main job in a fresh clone, from nothing, download included,
the page aside, for the conventional script makes none; (b) the `train` stage on what it prepared; (c)
`import torch` alone, the floor of the memory; (d) the conventional script. The clone has the uncommitted
changes of this working tree, this environment, and a Prefect home that is set up once, before the first
repeat, with no server configured.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Runs, format_report, machine

ROOT = Path(__file__).resolve().parents[1]
JOB = ("parameters", "download", "normalize", "train", "evaluate", "export", "verify")
TRAINED = ("models/model.safetensors", "reports/training.csv")


@dataclass(frozen=True)
class Usage:
    """What one process cost."""

    seconds: float
    peak_bytes: int


def measure(command: list[str], directory: Path, environment: dict[str, str]) -> Usage:
    """Run `command`; return its wall time and its own peak memory. Exit with its output when it fails."""
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        # wait4 tells the peak of this child; getrusage(RUSAGE_CHILDREN) that of the largest so far.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{output.read()}\n{' '.join(command)} ended with {process.returncode} in {directory}.")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, see getrusage(2)
    return Usage(seconds, usage.ru_maxrss * unit)


def clone(target: Path) -> None:
    """Copy this repository as a new clone would be, with the changes that are not committed yet."""
    subprocess.run(["git", "clone", "--quiet", "--no-local", ROOT, target], check=True)
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        source, copy = ROOT / name, target / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
        else:
            copy.unlink(missing_ok=True)


def prepare_environment(prefect_home: Path) -> dict[str, str]:
    """Return the environment of every measured process, with a Prefect database that exists already."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
    }
    upgrade = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    subprocess.run(upgrade, env=environment, check=True, capture_output=True)
    # Whoever runs first would otherwise wait for the disk, and the others would not.
    subprocess.run([sys.executable, "-c", "import torch, torchvision, onnxruntime, dvc.repo"], check=True)
    return environment


def repeat(workspace: Path, environment: dict[str, str], workers: int) -> dict[str, float]:
    """Measure everything once, in a clone made at `workspace`."""
    python = sys.executable
    clone(workspace)
    job = measure([python, "-m", "flows", "--force", "--stages", *JOB], workspace, environment)
    for name in TRAINED:  # so that nothing of the job's own training is left to use
        (workspace / name).unlink()
    train = measure([python, "-m", "stages.train"], workspace, environment)
    torch = measure([python, "-c", "import torch"], workspace, environment)
    results = workspace / "conventional.json"
    command = [python, "-m", "benchmarks.conventional", f"--workers={workers}", f"--json={results}"]
    conventional = measure(command, workspace, environment)
    epochs = json.loads(results.read_text())
    return {
        "conventional": conventional.seconds,
        "conventional_training": epochs["train_seconds"],
        "conventional_testing": epochs["test_seconds"],
        "conventional_accuracy": epochs["accuracy"],
        "job": job.seconds,
        "train": train.seconds,
        "train_peak": train.peak_bytes,
        "torch_peak": torch.peak_bytes,
    }


def main() -> None:
    """Read the command line, measure, print the report. The exit code says nothing about the targets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="loader processes of the conventional script")
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    arguments = parser.parse_args()
    runs: Runs = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = prepare_environment(Path(folder, "prefect"))
        for number in range(1, arguments.repeats + 1):
            workspace = Path(folder, "workspace")
            runs.append(repeat(workspace, environment, arguments.workers))
            shutil.rmtree(workspace)
            print(f"repeat {number} of {arguments.repeats} done", file=sys.stderr)
    where = machine()
    print(format_report(runs, where))
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": where, "runs": runs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
