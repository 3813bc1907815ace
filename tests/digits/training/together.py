"""What each process of test_distributed.py runs: all trainings of a JSON file, one by one."""

import json
import sys
from pathlib import Path

import safetensors.torch
import torch

from digits.training import distributed
from digits.training.loop import train
from digits.training.sections import TrainingValues
from tests.digits.training.test_loop import examples
from tests.digits.training.test_state import TEACHER
from tests.project import ROOT

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    ranks = None
    for name, (count, overrides) in json.loads((folder / "trainings.json").read_text()).items():
        parameters = TrainingValues.read(ROOT / "params.yaml", overrides)
        ranks = ranks or distributed.join(parameters)
        teacher = TEACHER if name == "a teacher" else None
        net, history = train(parameters, examples(count), log=lambda line: None, teacher=teacher, ranks=ranks)
        tensors = {**net.state_dict(), "losses": torch.tensor([row.loss for row in history])}
        tensors["accuracies"] = torch.tensor([row.accuracy for row in history])
        safetensors.torch.save_file(tensors, folder / f"{name}-{ranks.rank}")
    assert ranks
    ranks.leave()
