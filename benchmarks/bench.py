"""Measure what this project costs, every figure as a ratio within one run: `make bench`.

Each part is a file of benchmarks/parts and runs in a process of its own; all but `short` want a machine that
does nothing else. What they find goes into reports/bench.json and a picture beside it, part by part, so that
a part that is not measured keeps its figures.
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
from benchmarks.options import Options
from benchmarks.project import ROOT, BenchError
from benchmarks.report import machine
from digits.common.errors import DigitsError

PARTS = (
    *("conventional", "roofline", "convolutional", "jax", "gpu", "overhead", "jobs", "imports", "inference"),
    *("growth", "short"),
)
REPORT = ROOT / "reports/bench.json"


def measure(name: str, options: Options) -> Part:
    """What a part finds; see benchmarks/parts."""
    found: Part = importlib.import_module(f"benchmarks.parts.{name}").measure(options)
    return replace(found, machine=machine())


def measure_all(names: Sequence[str], options: Options) -> dict[str, Part]:
    """Part after part, each in a new process; one that cannot be measured here is skipped with a word."""
    parts = {}
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            try:
                parts[name] = process.submit(measure, name, options).result()
            except SkippedError as reason:
                print(f"{name} is skipped: {reason}", file=sys.stderr, flush=True)
            except BrokenProcessPool:
                raise BenchError(f"what measured {name} was killed; is there memory left?") from None
    return parts


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
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if chosen.short and chosen.parts:
        parser.error("--short is a part by itself")
    if chosen.repeats < 1:
        parser.error("--repeats must be at least 1")
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    """0, whatever is found; 1 where a figure of `--short` is worse than committed, or a part fails."""
    chosen = arguments(argv)
    options = Options(chosen.repeats, chosen.images, chosen.workers, chosen.port)
    try:
        if chosen.short:
            found = measure_all(["short"], options)
            print(table(found))
            return compare(found["short"], read(REPORT))
        parts = measure_all(chosen.parts or PARTS, options)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not parts:
        return 0
    known = read(chosen.json) | parts
    known = {name: known[name] for name in PARTS if name in known}
    write(chosen.json, known)
    from benchmarks import picture

    picture.draw(known, chosen.json.with_suffix(".png"))
    print(f"{machine()}\nmedian of {options.repeats} repeats, in turns\n\n{table(parts)}\n")
    for name, part in parts.items():
        for line in [*(f"{side}: {value:.4g}" for side, value in part.sides.items()), *part.notes]:
            print(f"{name}: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
