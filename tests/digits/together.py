"""What each process of tests/digits/test_distributed.py runs: all trainings of a JSON file, one by one."""

import json
import sys
from pathlib import Path

import safetensors.torch
import torch

from digits import distributed
from digits.parameters import read
from digits.training import train
from tests.digits.test_training import examples
from tests.digits.test_training_state import TEACHER
from tests.project import ROOT

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    ranks = None
    for name, (count, overrides) in json.loads((folder / "trainings.json").read_text()).items():
        parameters = read(ROOT / "params.yaml", overrides)
        ranks = ranks or distributed.join(parameters)
        teacher = TEACHER if name == "a teacher" else None
        net, history = train(parameters, examples(count), log=lambda line: None, teacher=teacher, ranks=ranks)
        tensors = {**net.state_dict(), "losses": torch.tensor([row.loss for row in history])}
        tensors["accuracies"] = torch.tensor([row.accuracy for row in history])
        safetensors.torch.save_file(tensors, folder / f"{name}-{ranks.rank}")
    assert ranks
    ranks.leave()
