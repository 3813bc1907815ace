"""Steps of the convolutional network against their convolutions alone, and against a product as large.

The first says what the loop adds; the second, how near all of it comes to the most that a processor does
with the same threads.
"""

from statistics import median

import torch

from benchmarks import step
from benchmarks.figures import Figure, Part, medians
from benchmarks.options import Options
from benchmarks.turns import in_turns, ratios

SIDE = 1024
"""Of matrices that are large enough for the full rate, and fit into the cache."""
STEPS = 100


def measure(options: Options) -> Part:
    values = step.values(model="cnn")
    batch = values.train.batch_size
    net = values.model.build()
    total = STEPS * step.operations(net, batch)
    matrices = (torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE), torch.empty(SIDE, SIDE))
    sides = {
        "steps": step.epoch(values, step.examples(STEPS * batch)),
        "convolutions": step.repeated(step.convolutions(net, batch), STEPS),
        "product": step.multiply([matrices], round(total / (2 * SIDE**3))),
    }
    taken = in_turns(sides, options.repeats)
    figures = [
        Figure("convolutional steps / their convolutions", ratios(taken["steps"], taken["convolutions"])),
        Figure("convolutional steps / a product as large", ratios(taken["steps"], taken["product"])),
    ]
    rate = total / median(taken["product"]) / 1e9
    return Part(figures, medians(taken), [f"{SIDE} x {SIDE} matrices are multiplied at {rate:.0f} GFLOP/s"])
