"""A training that is stopped and started again ends as one that never was, to the bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from digits.parameters.schema import SOLVERS
from digits.training.loop import Checkpoint, Source, train
from digits.training.sections import TrainingValues
from digits.training.state import Interval, TrainingState
from tests.digits.conftest import ReadWith
from tests.digits.training.test_loop import COUNT, SMALL, examples

DATA = examples(COUNT)
KINDS: dict[str, dict[str, object]] = {
    "plain": {},
    "momentum": {"solvers.sgd.momentum": 0.9},
    "step": {"train.schedule": "step", "train.solver": "adamw"},
    "bfloat16": {"train.precision": "bfloat16"},
    "augmentation": {"augmentation.shift": 2.0, "augmentation.elastic": 1.0},
    "outliers": {"outliers.share": 0.3, "ink.thickness": 0.5},
    "cnn": {"train.model": "cnn", "train.solver": "adamw", "models.cnn.channels": [4, 6]},
    "best": {
        "train.keep": "best",
        "train.patience": 1,
        "normalize.validation_size": 1,
        "solvers.sgd.lr": 0.1,
    },
    "teacher": {"distillation.weight": 2.0},
    **{solver: {"train.solver": solver} for solver in SOLVERS},
}


def make_teacher() -> nn.Module:
    """Always the same."""
    linear = nn.Linear(784, 10)
    with torch.no_grad():
        for weights in linear.parameters():
            weights.uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(1))
    return nn.Sequential(nn.Flatten(), linear, nn.LogSoftmax(1))


TEACHER = make_teacher()


class Stopped(Exception):
    pass


def run(
    parameters: TrainingValues,
    path: Path,
    stop_after: int = 0,
    identity: str = "this one",
    data: Source = DATA,
    teacher: nn.Module | None = None,
) -> tuple[nn.Module, list[Interval], list[str]]:
    lines: list[str] = []

    def log(line: str) -> None:
        lines.append(line)
        if line.startswith(f"epoch {stop_after}/"):
            raise Stopped

    checkpoint = Checkpoint(path, lambda: {"training": identity})
    net, history = train(parameters, data, examples(20, seed=9), log, checkpoint, teacher)
    return net, history, lines


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stops", [[1], [2], [1, 2]])
def test_a_stopped_training_ends_as_an_undisturbed_one(
    read_with: ReadWith, tmp_path: Path, kind: str, stops: list[int]
) -> None:
    parameters = read_with({**SMALL, **KINDS[kind]})
    teacher = TEACHER if kind == "teacher" else None
    net, history, _ = run(parameters, tmp_path / "undisturbed", teacher=teacher)
    for stop in stops:
        with pytest.raises(Stopped):
            run(parameters, tmp_path / "state", stop, teacher=teacher)
        torch.manual_seed(999)
    resumed, resumed_history, lines = run(parameters, tmp_path / "state", teacher=teacher)
    assert lines[0] == f"going on after epoch {stops[-1]} of an interrupted training"
    trained = [line for line in lines if line.startswith("epoch ")]
    assert len(trained) == 3 - stops[-1], "finished epochs are not trained again"
    assert_same(net, resumed)
    assert history == resumed_history
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_state_of_another_training_is_not_taken(read_with: ReadWith, tmp_path: Path) -> None:
    parameters = read_with(SMALL)
    net, _, _ = run(parameters, tmp_path / "undisturbed")
    with pytest.raises(Stopped):
        run(parameters, tmp_path / "state", stop_after=2, identity="another", data=examples(COUNT, seed=8))
    resumed, _, lines = run(parameters, tmp_path / "state")
    assert lines[0].startswith("epoch 1/3")
    assert_same(net, resumed)


def test_a_file_that_is_no_state_is_not_taken(read_with: ReadWith, tmp_path: Path) -> None:
    parameters = read_with(SMALL)
    net, _, _ = run(parameters, tmp_path / "undisturbed")
    with pytest.raises(Stopped):
        run(parameters, tmp_path / "state", stop_after=2)
    whole = (tmp_path / "state").read_bytes()
    flipped = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]  # in the last tensor
    for content in (b"", b"nonsense", whole[: len(whole) // 2], flipped):
        (tmp_path / "state").write_bytes(content)
        again, _, lines = run(parameters, tmp_path / "state")
        assert lines[0].startswith("epoch 1/3")
        assert_same(net, again)


def small_state(seed: int, inputs: int = 2, draws: str = "batches", groups: int = 1) -> TrainingState:
    torch.manual_seed(seed)
    net = nn.Linear(inputs, 1)
    parameters = [net.parameters()] if groups == 1 else [[weights] for weights in net.parameters()]
    optimizer = torch.optim.SGD([{"params": group} for group in parameters], lr=0.1, momentum=0.9)
    net(torch.ones(1, inputs)).sum().backward()
    optimizer.step()
    generators = {draws: torch.Generator().manual_seed(seed)}
    return TrainingState(net, optimizer, generators, [Interval(seed, 2, 2, 0.1, 0.5, 0.9)])


@pytest.mark.parametrize(
    "other", [{"inputs": 3}, {"groups": 2}, {"draws": "dropout"}], ids=["network", "solver", "generator"]
)
def test_a_whole_state_with_a_part_that_does_not_fit_changes_nothing(other: dict[str, Any]) -> None:
    foreign = small_state(2, **other).to_bytes({})
    state = small_state(1)
    before = state.to_bytes({})
    assert not state.from_bytes(foreign, {})
    assert state.to_bytes({}) == before
    assert state.from_bytes(small_state(2).to_bytes({}), {}), "one that fits is taken"
