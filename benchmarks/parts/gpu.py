"""One epoch on a CUDA GPU with recorded steps, against steps computed one by one and products alone."""

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import torch

from benchmarks import step
from benchmarks.figures import Figure, Part, SkippedError, medians
from benchmarks.options import Options
from benchmarks.turns import in_turns, ratios
from digits.training import loop
from digits.training.loop import Examples


def measure(options: Options) -> Part:
    if not torch.cuda.is_available():
        raise SkippedError(f"PyTorch {torch.__version__} finds no CUDA GPU")
    values, data = step.values(), step.examples()
    values = replace(values, train=values.train.model_copy(update={"device": "cuda"}))
    there = Examples(data.images.cuda(), data.labels.cuda())
    epoch = step.epoch(values, there)
    steps = len(data) // values.train.batch_size
    products = step.products(step.layer_sizes(values), values.train.batch_size)
    factors = [(left.cuda(), right.cuda(), out.cuda()) for left, right, out in products]

    def one_by_one() -> None:
        with patch.object(loop, "recorder", lambda device, parameters: None):
            epoch()

    taken = in_turns(
        {
            "recorded": _until_done(epoch),
            "one by one": _until_done(one_by_one),
            "products": _until_done(step.multiply(factors, steps)),
        },
        options.repeats,
    )
    figures = [
        Figure("epoch on a GPU / its steps one by one", ratios(taken["recorded"], taken["one by one"])),
        Figure("epoch on a GPU / its matrix products", ratios(taken["recorded"], taken["products"])),
    ]
    memory = torch.cuda.max_memory_allocated() / 2**30
    return Part(figures, medians(taken), [f"{torch.cuda.get_device_name()}, {memory:.2f} GiB of its memory"])


def _until_done(work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        work()
        torch.cuda.synchronize()

    return run
