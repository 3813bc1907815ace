"""Measure what this project costs, every figure as a ratio within one run: `make bench`.

Each part is a file of benchmarks/parts and runs in a process of its own; all but `short` want a machine that
does nothing else. What each finds goes into reports/bench.json and a picture beside it once it has ended,
whatever becomes of the others; a part that is not measured keeps its figures.
"""

import argparse
import importlib
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from benchmarks.figures import Part, SkippedError, read, table, worse, write
from benchmarks.options import Options, require_parts
from benchmarks.project import ROOT, BenchError
from benchmarks.report import machine
from digits.common.errors import DigitsError

PARTS = (
    *("conventional", "roofline", "convolutional", "jax", "gpu", "overhead", "jobs", "imports", "inference"),
    *("growth", "short"),
)
REPORT = ROOT / "reports/bench.json"
OF_THE_LAST_RUN = {"roofline", "convolutional", "jax", "inference", "growth", "short"}
"""Parts that measure with what a run has made."""
MADE = (
    ROOT / "data/raw/set.json",
    ROOT / "data/normalized/train.safetensors",
    ROOT / "data/normalized/validation.safetensors",
    ROOT / "models/model.onnx",
)


def measure(name: str, options: Options) -> Part:
    """What a part finds; see benchmarks/parts."""
    found: Part = importlib.import_module(f"benchmarks.parts.{name}").measure(options)
    return replace(found, machine=machine())


def require_made(names: Sequence[str]) -> None:
    """Say before the first part what a later one would miss."""
    missing = [path for path in MADE if not path.exists()]
    if missing and OF_THE_LAST_RUN.intersection(names):
        raise BenchError(f"{missing[0]} is missing; `make pipeline` makes it")


def measure_alone(name: str, options: Options) -> Part | None:
    """What a part finds, in a new process; None where it cannot be measured here, which is told."""
    print(f"measuring {name}", file=sys.stderr, flush=True)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        try:
            return process.submit(measure, name, options).result()
        except SkippedError as reason:
            print(f"{name} is skipped: {reason}", file=sys.stderr, flush=True)
            return None
        except BrokenProcessPool:
            raise BenchError(f"what measured {name} was killed; is there memory left?") from None


def measure_all(names: Sequence[str], options: Options, path: Path | None) -> tuple[dict[str, Part], bool]:
    """Part after part, each added to the file `path` if given; also whether one has failed, which is told."""
    parts, failed = {}, False
    for name in names:
        try:
            if part := measure_alone(name, options):
                parts[name] = part
                if path:
                    add(part, name, path)
        except DigitsError as error:
            print(f"error: {name}: {error}", file=sys.stderr, flush=True)
            failed = True
    return parts, failed


def add(part: Part, name: str, path: Path) -> None:
    """Put what a part has found in place of what is known of it, in the file and in the picture."""
    from benchmarks import picture

    known = read(path) | {name: part}
    known = {name: known[name] for name in PARTS if name in known}
    write(path, known)
    picture.draw(known, path.with_suffix(".png"))


def compare(found: Part, committed: dict[str, Part]) -> int:
    """Tell what is worse than committed by more than its margin; the exit code."""
    if "short" not in committed:
        raise BenchError("no short form is committed to compare with; `make bench ARGS=short` makes one")
    lines = list(worse(found, committed["short"]))
    for line in lines:
        print(f"error: {line}", file=sys.stderr)
    if not lines:
        print(f"none is worse than in {REPORT.relative_to(ROOT)} by more than its margin")
    return 1 if lines else 0


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if not given")
    parser.add_argument("--short", action="store_true", help="compare the short form with the committed one")
    parser.add_argument("--repeats", type=int, default=Options.repeats)
    parser.add_argument("--images", type=int, default=Options.images, help="for growth; 6000000 takes long")
    parser.add_argument("--workers", type=int, default=0, help="loader processes of the conventional script")
    parser.add_argument("--port", type=int, default=Options.port, help="of the Prefect server that runs use")
    parser.add_argument("--json", type=Path, default=REPORT, help="where the figures go, the picture beside")
    chosen = parser.parse_args(argv)
    require_parts(parser, chosen.parts, PARTS)
    if chosen.short and chosen.parts:
        parser.error("--short is a part by itself")
    if chosen.repeats < 1:
        parser.error("--repeats must be at least 1")
    if chosen.images < 10:
        parser.error("--images must be at least 10")
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    """0, whatever is found; 1 where a figure of `--short` is worse than committed, or a part fails.

    The other parts are measured all the same.
    """
    chosen = arguments(argv)
    options = Options(chosen.repeats, chosen.images, chosen.workers, chosen.port)
    names = ["short"] if chosen.short else chosen.parts or PARTS
    try:
        known = read(REPORT if chosen.short else chosen.json)
        require_made(names)
        parts, failed = measure_all(names, options, None if chosen.short else chosen.json)
        if parts:
            print(f"{machine()}\n\n{table(parts)}\n")
        if chosen.short and not failed:
            return compare(parts["short"], known)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, part in parts.items():
        for line in [*(f"{side}: {value:.4g}" for side, value in part.sides.items()), *part.notes]:
            print(f"{name}: {line}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
