"""Seconds for a batch in each runtime that is installed, against PyTorch with the same threads.

Those in JavaScript are asked from here through a pipe, which is part of their time.
"""

import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.figures import Figure, Part
from benchmarks.options import Options
from benchmarks.project import ROOT, BenchError
from benchmarks.turns import in_turns, ratios
from digits.calibration import calibration_file
from digits.data import raw
from digits.networks import model_file
from digits.onnx.runtime import ORACLE, YARDSTICK, Model, Runtime, RuntimeUnavailableError, find
from digits.onnx.sections import RUNTIMES

BATCHES = (1, 64, 10_000)
THREADS = (1, 2)
TURN = 0.05  # seconds, or one call
NOT_ASKED = {
    ORACLE,  # which is exact, and not for speed
    "onnx_reference",  # which says what operators mean, in loops of Python: 20 s for the largest batch
    "onnxruntime_web_threads",  # onnxruntime_web with more threads
}


def measure(options: Options) -> Part:
    model, images = read()
    figures: list[Figure] = []
    sides: dict[str, float] = {}
    notes: list[str] = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        loaded, missing = load(model, threads)
        notes += [note for note in missing if note not in notes]
        try:
            for batch in BATCHES:
                found = each_call(loaded, images[:batch], options.repeats)
                what = f"batch {batch:,}, {threads} thread{'s' * (threads > 1)}"
                pytorch = found.pop(YARDSTICK)
                sides[f"{YARDSTICK}, {what} [ms]"] = 1000 * float(np.median(pytorch))
                figures += [
                    Figure(f"{name}, {what}", ratios(taken, pytorch)) for name, taken in found.items()
                ]
        finally:
            for runtime in loaded.values():
                runtime.close()
    return Part(figures, sides, ["each ratio is to PyTorch's time for the same batch", *notes])


def read() -> tuple[Model, NDArray[np.uint8]]:
    """The model of the last run, and the test images [10000, 1, 28, 28].

    Raises:
        BenchError: there is none.
    """
    models, folder = ROOT / "models", ROOT / "data/raw"
    if not (models / "model.onnx").exists():
        raise BenchError(f"{models / 'model.onnx'} is missing; `make pipeline` makes it")
    calibration = calibration_file.load(models / "calibration.safetensors")
    classifier = calibration.apply(model_file.load(models / "model.safetensors")).classifier
    images = raw.read(folder, raw.TEST, raw.read_about(folder)).images[:, None].copy()
    return Model((models / "model.onnx").read_bytes(), classifier), images


def load(model: Model, threads: int) -> tuple[dict[str, Runtime], list[str]]:
    """The runtimes that are here and can work with so many threads, and what keeps the others away."""
    loaded: dict[str, Runtime] = {}
    missing = []
    for name in RUNTIMES:
        chosen = find(name)
        if name in NOT_ASKED:
            continue
        if chosen.threads is not None:
            chosen = type(chosen.__name__, (chosen,), {"threads": threads})
        elif threads > 1 and name != YARDSTICK:
            missing.append(f"{name} has no choice of threads")
            continue
        try:
            loaded[name] = chosen(model, chosen.levels[-1])
        except RuntimeUnavailableError as error:
            missing.append(f"{name}: {error}")
    return loaded, missing


def each_call(loaded: dict[str, Runtime], images: NDArray[np.uint8], repeats: int) -> dict[str, list[float]]:
    """Seconds of one call of each, in turns of many calls where one is short."""
    calls = {name: _calls(partial(runtime.predict, images)) for name, runtime in loaded.items()}
    sides = {name: partial(_repeat, runtime, images, calls[name]) for name, runtime in loaded.items()}
    taken = in_turns(sides, repeats)
    return {name: [seconds / calls[name] for seconds in taken[name]] for name in loaded}


def _calls(once: Callable[[], object]) -> int:
    once()
    began = time.perf_counter()
    once()
    return max(1, math.ceil(TURN / (time.perf_counter() - began)))


def _repeat(runtime: Runtime, images: NDArray[np.uint8], calls: int) -> None:
    for _ in range(calls):
        runtime.predict(images)
