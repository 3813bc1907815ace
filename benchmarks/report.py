"""The table that `make bench` prints: medians, spread, and whether each target is met."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from statistics import median

Runs = list[dict[str, float]]

GB = 1e9
ROWS = {
    "conventional": "conventional script, whole process",
    "conventional_training": "  its five epochs, training alone",
    "conventional_testing": "  its five tests",
    "job": "whole main job, fresh clone, through Prefect",
    "train": "train stage, whole process",
}


def machine() -> str:
    """Return the processor, the cores this process may use, and the versions that matter."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = [f"Python {platform.python_version()}"]
    names += [f"{package} {version(package)}" for package in ("torch", "prefect", "dvc")]
    return f"{processor()}, {cores} cores, {platform.system()}; {', '.join(names)}"


def processor() -> str:
    """Return the processor's name, or its architecture where the system does not tell."""
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def column(runs: Runs, name: str) -> list[float]:
    """Return one measurement of every run."""
    return [run[name] for run in runs]


def summarize(values: list[float], unit: str = "s", scale: float = 1.0) -> str:
    """Return the median and the range of `values`."""
    middle, low, high = (value / scale for value in (median(values), min(values), max(values)))
    return f"{middle:8.2f} {unit:<2}  ({low:.2f} to {high:.2f})"


def target(label: str, values: list[float], limit: float, *, at_least: bool) -> str:
    """Return one line: the median of `values` (one per run), its range, the target, and whether it is met."""
    middle = median(values)
    met = middle >= limit if at_least else middle <= limit
    bound = f"at {'least' if at_least else 'most'} {limit:g}"
    return f"{label:<46} {summarize(values, '')}  {bound:<13} {'met' if met else 'MISSED'}"


def format_report(runs: Runs, where: str) -> str:
    """Return the report of all runs.

    Ratios are taken within a run, so that a slow minute weighs on both sides.
    """
    memory = [(run["train_peak"] - run["torch_peak"]) / GB for run in runs]
    epochs = [run["conventional_training"] + run["conventional_testing"] for run in runs]
    speedup = [seconds / run["train"] for seconds, run in zip(epochs, runs, strict=True)]
    share = [run["job"] / run["conventional"] for run in runs]
    accuracy = summarize(column(runs, "conventional_accuracy"), "%", 0.01)
    lines = [where, f"repeats: {len(runs)}, in turns; median (lowest to highest)", ""]
    lines += [f"{label:<46} {summarize(column(runs, name))}" for name, label in ROWS.items()]
    lines += [
        f"{'peak memory of train':<46} {summarize(column(runs, 'train_peak'), 'GB', GB)}",
        f"{'peak memory of `import torch`':<46} {summarize(column(runs, 'torch_peak'), 'GB', GB)}",
        f"{'accuracy of the conventional script':<46} {accuracy}",
        "",
        target("five epochs and tests / train stage", speedup, 5, at_least=True),
        target("whole main job / conventional script", share, 0.6, at_least=False),
        target("memory of train above `import torch`, GB", memory, 1.5, at_least=False),
    ]
    return "\n".join(lines)
