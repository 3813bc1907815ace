"""Which epoch a training keeps and when it ends, by the validation images alone."""

import pytest
import torch
from torch.nn import functional

from digits.training.loop import train
from tests.digits.conftest import ReadWith
from tests.digits.training.test_loop import SMALL, examples

# Learns its few training images by heart, and gets worse on others.
OVERFITS: dict[str, object] = {
    **SMALL,
    "normalize.validation_size": 1,
    "train.epochs": 12,
    "train.solver": "adamw",
    "solvers.adamw.lr": 0.02,
    "models.mlp.hidden_sizes": [64],
    "models.mlp.dropout": 0.0,
}
TRAINING, VALIDATION = examples(40), examples(200, seed=5)


def losses(history: list[object]) -> list[float]:
    return [row.validation_loss for row in history if row.validation_loss is not None]  # type: ignore[attr-defined]


def run(read_with: ReadWith, **overrides: object) -> tuple[torch.nn.Module, list[float], list[str]]:
    lines: list[str] = []
    changes = {f"train.{key}": value for key, value in overrides.items()}
    net, history = train(read_with({**OVERFITS, **changes}), TRAINING, VALIDATION, lines.append)
    return net, losses([*history]), lines


def test_the_best_epoch_is_kept(read_with: ReadWith) -> None:
    net, by_epoch, lines = run(read_with, keep="best")
    best = min(range(len(by_epoch)), key=by_epoch.__getitem__) + 1
    assert 1 < best < 12, "the example must get better, then worse"
    with torch.no_grad():
        kept = functional.nll_loss(net.eval()(VALIDATION.images), VALIDATION.labels).item()
    assert kept == pytest.approx(by_epoch[best - 1], abs=1e-6)
    assert lines[-1] == f"keeping the weights after epoch {best}, the best on the validation images"


def test_the_last_epoch_is_kept_otherwise(read_with: ReadWith) -> None:
    net, by_epoch, _ = run(read_with)
    with torch.no_grad():
        kept = functional.nll_loss(net.eval()(VALIDATION.images), VALIDATION.labels).item()
    assert kept == pytest.approx(by_epoch[-1], abs=1e-6)


def test_training_ends_when_the_patience_does(read_with: ReadWith) -> None:
    _, whole, _ = run(read_with)
    best = min(range(len(whole)), key=whole.__getitem__) + 1
    _, stopped, lines = run(read_with, patience=2)
    assert stopped == whole[: best + 2]
    assert lines[-1] == f"stopping: the validation loss is no lower than after epoch {best}"


def test_a_patience_that_is_not_used_up_changes_nothing(read_with: ReadWith) -> None:
    assert run(read_with, patience=12)[1] == run(read_with)[1]
