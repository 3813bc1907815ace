"""Streamed training on ten times as many images: seconds for an image, and memory.

60,000 are against 600,000 as a rule; with `--images 6000000`, 600,000 against those (29 GB of free disk).
"""

import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks import streaming
from benchmarks.figures import Figure, Part, medians
from benchmarks.options import Options
from benchmarks.turns import in_order, ratios
from digits.training.streaming import BUFFER

MEMORY_AT_MOST = 1.1


def measure(options: Options) -> Part:
    small, large = options.images // 10, options.images
    seconds: dict[str, list[float]] = defaultdict(list)
    peaks: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        folders = {size: Path(name, str(size)) for size in (small, large)}
        for size, folder in folders.items():
            folder.mkdir()
            streaming.make(size, folder)
        for repeat in range(options.repeats):
            for size in in_order(list(folders), repeat):
                epoch = streaming.run(folders[size], size, streamed=True)
                seconds[f"{size:,}"].append(1 / epoch.rate)
                peaks[f"{size:,}"].append(epoch.peaks["VmRSS"] / 1e6)
    between = f"{large:,} images / {small:,}"
    # Both have two full buffers of images then.
    at_most = MEMORY_AT_MOST if small >= 2 * BUFFER else None
    figures = [
        Figure(f"seconds for an image, {between}", ratios(seconds[f"{large:,}"], seconds[f"{small:,}"])),
        Figure(f"peak memory, {between}", ratios(peaks[f"{large:,}"], peaks[f"{small:,}"]), at_most),
    ]
    rates = {f"{size} images [images/s]": 1 / median(taken) for size, taken in seconds.items()}
    return Part(figures, rates | medians(peaks, "MB"))
