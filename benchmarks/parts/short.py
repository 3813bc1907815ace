"""What CI measures, in half a minute, and compares with the committed figures: `make bench ARGS=--short`.

None of it should depend on how busy the machine is, or on how many cores it has:

- *Processor time* of the loop against that of its matrix products, both of the whole process, the least of
  many turns. Waiting for a core is not counted, work on another core is, and of what a neighbour slows down
  the best turn counts. What stays is the CPU: without AVX-512 the products take a greater part, so the ratio
  is lower; where they are faster still, as on a Xeon, it is up to a half higher. Hence twice the committed
  ratio is still let pass.
- Counts, which are the same every time: calls of PyTorch's operators for each matrix product of a step, and
  modules that a stage imports against those of `import torch`.
"""

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from torch.profiler import ProfilerActivity, profile

from benchmarks import project, step
from benchmarks.figures import Figure, Part
from benchmarks.options import Options
from benchmarks.project import PYTHON, ROOT, BenchError
from benchmarks.turns import in_turns
from digits.training.loop import Examples
from digits.training.sections import TrainingValues

STEPS, TURNS = 100, 30
TIME_MARGIN, COUNT_MARGIN = 2.0, 1.25


def measure(options: Options) -> Part:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # what it says is of GPUs that nobody asked for
    values = step.values()
    data = step.examples(STEPS * values.train.batch_size)
    figures = [processor_time(values, data), operators(values, data)]
    texts = {"torch": "import torch"}
    texts |= {command[-1]: f"import {command[-1]}" for command in project.stages().values()}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(texts, pool.map(modules, texts.values()), strict=True))
    figures += [
        Figure(f"modules of {name} / of torch", [count / counts["torch"]], margin=COUNT_MARGIN)
        for name, count in counts.items()
        if name != "torch"
    ]
    return Part(figures, {f"{name} [modules]": float(count) for name, count in counts.items()})


def processor_time(values: TrainingValues, data: Examples) -> Figure:
    sides = {"loop": step.epoch(values, data), "products": step.matrix_products(values, STEPS)}
    taken = in_turns(sides, TURNS, time.process_time)
    ratio = min(taken["loop"]) / min(taken["products"])
    return Figure("loop / matrix products, processor time", [ratio], margin=TIME_MARGIN)


def operators(values: TrainingValues, data: Examples) -> Figure:
    """Calls in a step, by the difference between an epoch of all of the data and one of half of it."""
    batch, count = values.train.batch_size, len(data) // 2
    half = Examples(data.images[:count], data.labels[:count])
    step.epoch(values, half)()  # so that what is done only once has been done
    few, many = (calls(step.epoch(values, chosen)) for chosen in (half, data))
    each = (many - few) / (count / batch)
    of_products = len(step.products(step.layer_sizes(values), batch))
    return Figure("operator calls / matrix products of a step", [each / of_products], margin=COUNT_MARGIN)


def calls(work: Callable[[], object]) -> int:
    """How often `work` calls operators of PyTorch in this thread, those within others included."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    return sum(event.count for event in profiler.key_averages() if event.key.startswith("aten::"))


def modules(text: str) -> int:
    """How many modules a new interpreter has loaded after these lines.

    Raises:
        BenchError: they fail.
    """
    command = [PYTHON, "-c", f"{text}\nimport sys\nprint(len(sys.modules))"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{text}:\n{done.stderr}")
    return int(done.stdout)
