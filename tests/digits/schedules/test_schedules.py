"""Schedules against PyTorch's own, step by step."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from digits.parameters.schema import SCHEDULES
from digits.schedules.constant import Constant
from digits.schedules.cosine import Cosine
from digits.schedules.one_cycle import OneCycle
from digits.schedules.step import Step
from digits.training.loop import train
from digits.training.schedule import Schedule
from tests.digits.conftest import ReadWith
from tests.digits.training.test_loop import COUNT, SMALL, examples, silent

EPOCHS, BATCHES = 4, 10
STEPS = EPOCHS * BATCHES
Make = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]
CASES: dict[str, tuple[Schedule, Make]] = {
    "constant": (Constant(warmup=0.0), lambda o: lr_scheduler.ConstantLR(o, 1.0)),
    "step": (Step(warmup=0.0, step_size=2, gamma=0.5), lambda o: lr_scheduler.StepLR(o, 2 * BATCHES, 0.5)),
    "cosine": (Cosine(warmup=0.0, floor=0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, 0.1)),
    "warm-up": (
        Constant(warmup=1.5),
        lambda o: lr_scheduler.LinearLR(o, 1 / 15, total_iters=14),
    ),
}


def torch_rates(make: Make, steps: int = STEPS) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("name", CASES)
def test_a_schedule_is_pytorchs(name: str) -> None:
    schedule, make = CASES[name]
    ours = [schedule.factor(step, STEPS, EPOCHS) for step in range(STEPS)]
    assert ours == pytest.approx(torch_rates(make), abs=1e-9)


def test_one_cycle_is_pytorchs() -> None:
    """PyTorch counts the steps between, of which there is one less."""
    steps = 101
    theirs = torch_rates(
        lambda o: lr_scheduler.OneCycleLR(
            o, 1.0, total_steps=steps, pct_start=31 / 101, div_factor=25, final_div_factor=1e9
        ),
        steps,
    )
    schedule = OneCycle(warmup=0.0, start=0.04, end=0.0, rise=0.3)
    ours = [schedule.factor(step, steps - 1, 1) for step in range(steps)]
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert max(ours) == ours[30] == 1.0


def test_a_warm_up_goes_before_any_schedule() -> None:
    schedule = Cosine(warmup=1.0, floor=0.0)
    without = Cosine(warmup=0.0, floor=0.0)
    for step in range(STEPS):
        expected = min(1, (step + 1) / BATCHES) * without.factor(step, STEPS, EPOCHS)
        assert schedule.factor(step, STEPS, EPOCHS) == pytest.approx(expected)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_training_follows_the_schedule(read_with: ReadWith, name: str) -> None:
    overrides = {**SMALL, "train.log_interval": 1, "train.schedule": name, f"schedules.{name}.warmup": 0.5}
    parameters = read_with(overrides)
    _, history = train(parameters, examples(COUNT), log=silent)
    assert len(history) == 15
    expected = [0.01 * parameters.schedule.factor(step, 15, 3) for step in range(15)]
    assert [row.lr for row in history] == pytest.approx(expected)
    assert history[0].lr < 0.01


def test_every_group_keeps_its_own_rate(read_with: ReadWith) -> None:
    parameters = read_with(
        {**SMALL, "train.solver": "muon", "train.schedule": "step", "solvers.muon.adamw.lr": 1e-9}
    )
    before, (net, history) = parameters.model, train(parameters, examples(COUNT), log=silent)
    torch.manual_seed(parameters.train.seed)
    start = before.build()
    for (name, weight), old in zip(net.named_parameters(), start.parameters(), strict=True):
        moved = float((weight.detach() - old.detach()).abs().max())
        assert (moved < 1e-6) == (weight.ndim == 1), name
    assert sorted({row.lr for row in history}) == pytest.approx([0.00162, 0.0018, 0.002])
