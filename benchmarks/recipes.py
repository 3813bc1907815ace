"""Repeat the runs behind the claims of `recipes/`: test accuracy over seeds, seconds, parity.

A run is the stages from `train` to `evaluate`, as processes of their own, in a folder of its own; the first
seed is exported and verified, too, and has the second network by which all are calibrated. Runs go one after
the other, for each uses the cores its recipe asks for. What no recipe names is as params.yaml has it.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev

from benchmarks import outside
from benchmarks.outside import Outside
from benchmarks.project import ROOT
from benchmarks.report import machine
from digits.parameters import recipes
from digits.parameters import schema as parameters
from digits.parameters.recipes import Claim

FOLDER = ROOT / "recipes"
LINKS = ("digits", "stages", "teachers", "data/raw", "versions.yaml")
SECONDS = re.compile(r"([\d.]+) s from reading the data to the last step")


@dataclass(frozen=True)
class Run:
    """What one training reached."""

    accuracy: float
    seconds: float
    """From reading the data to the last step."""
    process_seconds: float
    """Of the whole `train` process, from its start to its end."""
    flips: int | None
    """Digits that onnxruntime predicts otherwise; None where it was not asked."""
    outside: Outside | None = None
    """Where that was asked."""


def prepare(folder: Path) -> None:
    """Make `folder` a project with this one's code, raw data and normalized data."""
    for name in LINKS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    for name in ("data/normalized", "models", "reports"):
        (folder / name).mkdir(parents=True)
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    stage("normalize", folder)


def stage(name: str, folder: Path) -> str:
    """Run one stage and return what it printed; its error ends this program."""
    command = [sys.executable, "-m", f"stages.{name}"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}{' '.join(command)} ended with {done.returncode}.")
    return done.stdout


def run(recipe: str, seed: int, folder: Path, first: bool, ask_outside: bool = False) -> Run:
    """Train and evaluate a recipe with this seed in a prepared folder; `first`: of this recipe."""
    values = recipes.overrides(FOLDER, recipe)
    # The gate is for users; here every result counts.
    parameters.write(folder / "params.yaml", {**values, "train.seed": seed, "evaluate.min_accuracy": 0.0})
    began = time.perf_counter()
    said = stage("train", folder)
    process_seconds = time.perf_counter() - began
    found = SECONDS.search(said)
    assert found, "the train stage does not say how long it took"
    after = {
        "crossfit": first,
        "calibrate": True,
        "evaluate": True,
        "export": first or ask_outside,
        "verify": first,
        "shift": ask_outside,
    }
    for name, wanted in after.items():
        if wanted:
            stage(name, folder)
    flips = json.loads((folder / "reports/parity.json").read_text())["class_flips"] if first else None
    accuracy = json.loads((folder / "reports/metrics.json").read_text())["accuracy"]
    there = outside.read(folder, accuracy) if ask_outside else None
    return Run(accuracy, float(found[1]), process_seconds, flips, there)


def rows(name: str, runs: Sequence[Run], claim: Claim) -> Iterator[str]:
    """The lines of a recipe in the table."""
    found = [r.accuracy for r in runs]
    spread = f"{min(found):.2%} to {max(found):.2%}"
    deviation = stdev(found) if len(found) > 1 else 0.0
    flips = ", ".join(str(r.flips) for r in runs if r.flips is not None)
    yield (
        f"{name:<14} {mean(found):8.3%} ± {deviation:.3%}  ({spread}, {len(found)} seeds)  "
        f"{median(r.seconds for r in runs):7.1f} s  flips {flips}"
    )
    yield f"{'  its claim':<14} {claim.accuracy:8.3%} ± {claim.deviation:.3%}{'':37}{claim.seconds:7.1f} s"


def confidence(accuracies: Sequence[float], bar: float) -> float:
    """That the mean over all seeds is above `bar`, 0 to 1, by Student's t-test, one-sided.

    Raises:
        ValueError: there are fewer than two, or all are the same.
    """
    from scipy.stats import t as student  # takes a second

    deviation = stdev(accuracies)
    if not deviation:
        raise ValueError("all accuracies are the same")
    error = deviation / math.sqrt(len(accuracies))
    return float(student.cdf((mean(accuracies) - bar) / error, len(accuracies) - 1))


def record(runs: Sequence[Run], bar: float) -> Iterator[str]:
    """How sure it is that the mean accuracy is above the bar, and what a run takes from a cold process."""
    seconds = [r.process_seconds for r in runs]
    try:
        sure = confidence([r.accuracy for r in runs], bar)
        yield f"  mean above {bar:.1%} with a confidence of {sure:.6f}"
    except ValueError as error:
        yield f"  no confidence: {error}"
    yield (
        f"  whole train process: {mean(seconds):.2f} s ± {stdev(seconds):.2f} s "
        f"({min(seconds):.2f} to {max(seconds):.2f})"
    )


def main() -> None:
    """Read the command line, run, print the table. The exit code says nothing about the claims."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", help="all, if not given")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of those of each claim")
    parser.add_argument(
        "--outside", action="store_true", help="rows for docs/calibration.md and docs/shift.md, too"
    )
    parser.add_argument("--bar", type=float, help="an accuracy, 0 to 1: is the mean above it?")
    arguments = parser.parse_args()
    if len(set(arguments.seeds or ())) < len(arguments.seeds or ()):
        parser.error("--seeds names one twice, which would be the same run again")
    if arguments.bar is not None and len(arguments.seeds or ()) < 2:
        parser.error("--bar wants --seeds, two at least; a record has twenty")
    try:
        chosen = arguments.recipes or recipes.names(FOLDER)
        claims = {name: recipes.read(FOLDER, name).claim for name in chosen}
    except recipes.RecipeError as error:
        sys.exit(f"error: {error}")
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="recipes-") as name:
        folder = Path(name)
        prepare(folder)
        for recipe, claim in claims.items():
            runs: list[Run] = []
            for seed in arguments.seeds or claim.seeds:
                runs.append(run(recipe, seed, folder, not runs, arguments.outside))
                result = f"{runs[-1].accuracy:.2%}, {runs[-1].seconds:.1f} s"
                print(f"{recipe}, seed {seed}: {result}", file=sys.stderr, flush=True)
            table = [*rows(recipe, runs, claim)]
            if arguments.bar is not None:
                table += record(runs, arguments.bar)
            if found := [run.outside for run in runs if run.outside]:
                table += outside.rows(recipe, found)
            print("\n".join(table), flush=True)


if __name__ == "__main__":
    main()
