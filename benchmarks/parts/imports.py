"""How long each stage takes to load what it imports, as a process of its own, against `import torch`."""

import os
from functools import partial

from benchmarks import project
from benchmarks.figures import Figure, Part, medians
from benchmarks.options import Options
from benchmarks.project import PYTHON, ROOT
from benchmarks.turns import in_turns, ratios

TORCH, NOTHING = "import torch", "an interpreter"


def measure(options: Options) -> Part:
    modules = [command[-1] for command in project.stages().values()]
    texts = {TORCH: "import torch", NOTHING: ""} | {name: f"import {name}" for name in modules}
    sides = {
        name: partial(project.measure, [PYTHON, "-c", text], ROOT, dict(os.environ))
        for name, text in texts.items()
    }
    taken = in_turns(sides, options.repeats)
    figures = [Figure(f"import {name} / {TORCH}", ratios(taken[name], taken[TORCH])) for name in modules]
    return Part(figures, medians(taken))
