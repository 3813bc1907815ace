"""Whether a training takes the memory of each step anew from the kernel, in a process of its own."""

import subprocess
import sys

import pytest

from tests.project import ROOT

STEPS = 20
PROGRAM = f"""
import resource
import sys
from pathlib import Path
import torch
from digits.training.loop import Examples, train
from digits.training.sections import TrainingValues

def faults(count):
    chosen = {{"train.model": "cnn", "train.epochs": 1, "train.device": "cpu"}}
    values = TrainingValues.read(Path(sys.argv[1]), chosen)
    data = Examples(torch.randn(count, 1, 28, 28), torch.zeros(count, dtype=torch.long))
    began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    train(values, data, log=lambda _: None)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - began

few, many = faults(4 * 64), faults((4 + {STEPS}) * 64)
print((many - few) / {STEPS})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's allocator is told")
def test_a_step_finds_the_memory_of_the_one_before_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ROOT / "params.yaml"], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 500, "pages for each step; tens of megabytes would be thousands"
