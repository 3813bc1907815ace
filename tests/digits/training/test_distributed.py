"""Two processes that train together end where one ends alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from digits.parameters.schema import SOLVERS
from digits.training.distributed import part
from digits.training.loop import train
from digits.training.sections import TrainingValues
from tests.digits.training.test_loop import COUNT, SMALL, examples, silent
from tests.digits.training.test_state import TEACHER
from tests.project import ROOT

STILL = {**SMALL, "train.device": "cpu", "models.mlp.dropout": 0.0, "train.log_interval": 1}
TRAININGS: dict[str, tuple[int, dict[str, object]]] = {
    "an uneven batch": (COUNT, {**STILL, "train.batch_size": 15}),
    "a last batch of one image": (65, STILL),
    "several losses": (
        COUNT,
        {
            **STILL,
            "train.loss": [
                {"name": "cross_entropy", "weight": 0.7},
                {"name": "euclidean_distance", "weight": 0.3},
            ],
        },
    ),
    "augmentation": (COUNT, {**STILL, "augmentation.shift": 2.0, "augmentation.elastic": 1.0}),
    "an uneven batch of changed images": (
        COUNT,
        {**STILL, "augmentation.shift": 2.0, "augmentation.elastic": 1.0, "train.batch_size": 15},
    ),
    "other ink and outliers": (
        COUNT,
        {**STILL, "augmentation.shift": 2.0, "ink.blur": 1.0, "outliers.share": 0.3},
    ),
    "a teacher": (COUNT, {**STILL, "distillation.weight": 0.5}),
    **{solver: (COUNT, {**STILL, "train.solver": solver}) for solver in SOLVERS},
}
# Batch normalization takes the statistics of each process's part.
APART: dict[str, tuple[int, dict[str, object]]] = {
    "cnn": (COUNT, {**STILL, "train.model": "cnn", "models.cnn.channels": [4, 6]}),
    "dropout": (COUNT, {**STILL, "models.mlp.dropout": 0.2}),
}

# L-BFGS divides by differences of gradients, which makes much of last bits.
TOLERANCE = {"lbfgs": 1e-3}


def tolerance(values: TrainingValues, steps: int) -> float:
    """How far losses may be apart: in every step the rounding of the solver's own arithmetic counts."""
    eps = torch.finfo(getattr(torch, values.solver.precision)).eps
    return max(1e-5, steps * eps * float(getattr(values.solver, "lr")))  # noqa: B009 (each has one of its own)


# Rprop goes by the sign of a gradient. Nearly zero, its last bit decides, and a weight is off.
OFF = {"rprop": 10}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which each of two processes left the results of all trainings."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "trainings.json").write_text(json.dumps(TRAININGS | APART))
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *command, "-m", "tests.digits.training.together", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_train_as_one(trained: Path, name: str) -> None:
    count, overrides = TRAININGS[name]
    teacher = TEACHER if name == "a teacher" else None
    values = TrainingValues.read(ROOT / "params.yaml", overrides)
    net, history = train(values, examples(count), log=silent, teacher=teacher)
    allowed = tolerance(values, history[-1].step)
    first, second = load_file(trained / f"{name}-0"), load_file(trained / f"{name}-1")
    for tensor in first:
        assert torch.equal(first[tensor], second[tensor]), tensor
    losses, accuracies = first.pop("losses"), first.pop("accuracies")
    torch.testing.assert_close(losses, torch.tensor([row.loss for row in history]), rtol=0, atol=allowed)
    assert accuracies.tolist() == pytest.approx([row.accuracy for row in history])
    apart = torch.cat([(first[weight] - alone).abs().flatten() for weight, alone in net.state_dict().items()])
    assert (apart > TOLERANCE.get(name, max(1e-4, allowed))).sum() <= OFF.get(name, 0), apart.max()


@pytest.mark.parametrize("name", APART)
def test_two_processes_have_one_network(trained: Path, name: str) -> None:
    first, second = load_file(trained / f"{name}-0"), load_file(trained / f"{name}-1")
    assert len(first) > 4
    for tensor in first:
        assert torch.equal(first[tensor], second[tensor]), tensor


@pytest.mark.parametrize(("count", "size"), [(64, 2), (7, 3), (2, 3), (1, 4)])
def test_every_image_is_in_one_part(count: int, size: int) -> None:
    parts = [range(count)[part(count, rank, size)] for rank in range(size)]
    assert [row for rows in parts for row in rows] == list(range(count))
    assert len(parts[0]) - len(parts[-1]) <= 1
