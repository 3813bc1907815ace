"""One epoch of the training loop against its matrix products alone, with the same threads."""

import time

from benchmarks import step
from benchmarks.figures import Figure, Part, medians
from benchmarks.options import Options
from benchmarks.turns import in_turns, ratios

AT_MOST = 1.6


def measure(options: Options) -> Part:
    values, data = step.values(), step.examples()
    steps = len(data) // values.train.batch_size
    epoch, products = step.epoch(values, data), step.matrix_products(values, steps)
    taken = in_turns({"epoch": epoch, "products": products}, options.repeats)
    began, worked = time.perf_counter(), time.process_time()
    epoch()
    cores = (time.process_time() - worked) / (time.perf_counter() - began)
    figure = Figure("epoch / its matrix products", ratios(taken["epoch"], taken["products"]), AT_MOST)
    return Part([figure], medians(taken), [f"the epoch kept {cores:.2f} cores at work"])
