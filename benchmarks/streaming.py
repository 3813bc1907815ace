"""One epoch of the `train` stage on more and more data: images per second and peak memory.

    python -m benchmarks.streaming 60000 600000 6000000

Each size is made by benchmarks/more_data.py (3.1 GB for a million images, removed afterwards) and trained
in a fresh process, with the values of params.yaml. Up to `--in-memory` images, also with train.stream: false.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import more_data
from benchmarks.project import ROOT, BenchError
from benchmarks.report import machine
from digits.parameters import schema as parameters

SPARE = 8e9  # bytes that stay free on the disk
BYTES = 3144  # of an image with its label
FIELDS = ("RssAnon", "RssFile", "VmRSS")


@dataclass(frozen=True)
class Epoch:
    """What one epoch took."""

    images: int
    streamed: bool
    seconds: float
    """Of the whole process."""
    rate: float
    """Images per second of the epoch."""
    peaks: dict[str, int]
    """Bytes: what the process cannot give back, the mapped files it could, and the highest sum of them."""


def memory(process: int) -> dict[str, int]:
    """The present memory of a process in bytes, see proc(5); nothing when it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    values = dict(line.split(":", 1) for line in lines)
    return {name: int(values[name].split()[0]) * 1024 for name in FIELDS if name in values}


def prepare(folder: Path, streamed: bool) -> None:
    """Make the folder one in which the stage trains for one epoch."""
    for name in ("params.yaml", "versions.yaml"):
        shutil.copy(ROOT / name, folder)
    parameters.write(folder / "params.yaml", {"train.epochs": 1, "train.stream": streamed})
    normalized = folder / "data/normalized"
    normalized.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "data/normalized/validation.safetensors", normalized)


def make(images: int, folder: Path) -> None:
    """Make the folder one with so many images, in which the stage trains while it reads them.

    Raises:
        BenchError: the disk has no room for them.
    """
    room = shutil.disk_usage(folder).free - images * BYTES
    if room < SPARE:
        raise BenchError(
            f"{images:,} images need {images * BYTES / 1e9:.1f} GB on the disk of {folder}, "
            f"and {SPARE / 1e9:.0f} GB more to spare"
        )
    prepare(folder, streamed=True)
    source = ROOT / "data/normalized/train.safetensors"
    more_data.write(images, source, folder / "data/normalized/train.safetensors")


def run(folder: Path, images: int, streamed: bool) -> Epoch:
    """Train for one epoch in a process of its own, and look at its memory all the while.

    Raises:
        BenchError: the stage fails.
    """
    prepare(folder, streamed)
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "stages.train"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        peaks = dict.fromkeys(FIELDS, 0)
        try:
            while process.poll() is None:
                for name, value in memory(process.pid).items():
                    peaks[name] = max(peaks[name], value)
                time.sleep(0.02)
        finally:
            process.kill()  # where this one is interrupted; else it has ended
        seconds = time.perf_counter() - start
        output.seek(0)
        text = output.read()
    rate = re.search(r"([\d,]+) images/s", text)
    if process.returncode or not rate:
        raise BenchError(f"{text}\nthe stage ended with {process.returncode}")
    return Epoch(images, streamed, seconds, float(rate[1].replace(",", "")), peaks)


def table(epochs: list[Epoch]) -> str:
    """One line for each epoch."""
    lines = [
        "| images | read | images/s | whole process | anonymous | mapped files | both |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for epoch in epochs:
        way = "while training" if epoch.streamed else "before"
        peaks = " | ".join(f"{epoch.peaks[name] / 1e6:,.0f} MB" for name in FIELDS)
        lines.append(f"| {epoch.images:,} | {way} | {epoch.rate:,.0f} | {epoch.seconds:,.1f} s | {peaks} |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, measure, print the table."""
    try:
        _main()
    except BenchError as error:
        sys.exit(f"error: {error}")


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=[60_000, 600_000, 6_000_000])
    parser.add_argument("--in-memory", type=int, default=600_000, help="largest size to load as a whole, too")
    parser.add_argument("--folder", type=Path, help="where the files are made (default: the system's own)")
    arguments = parser.parse_args()
    epochs = []
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory(prefix="streaming-", dir=arguments.folder) as name:
            folder = Path(name)
            make(size, folder)
            for streamed in [True, False] if size <= arguments.in_memory else [True]:
                epochs.append(run(folder, size, streamed))
                print(table(epochs[-1:]).splitlines()[-1], file=sys.stderr)
    print(f"{machine()}\n\n{table(epochs)}")


if __name__ == "__main__":
    main()
