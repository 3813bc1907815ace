"""The temperature is the one of least negative log-likelihood, and no digit changes by it."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from digits.calibration import temperature
from digits.calibration.temperature import Tempered, calibrated
from digits.networks.convolutional import Convolutional
from digits.networks.perceptron import Perceptron


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = torch.from_numpy(logits).log_softmax(1).numpy()
    return found


def drawn(true: float, count: int = 20_000) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Answers that are calibrated at this temperature: the labels are drawn with these probabilities."""
    random = np.random.default_rng(3)
    logits = 3 * random.standard_normal((count, 10))
    labels = (log_softmax(logits / true) + random.gumbel(size=(count, 10))).argmax(axis=1)
    return log_softmax(logits), labels


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(true: float) -> None:
    assert temperature.fit(*drawn(true)) == pytest.approx(true, rel=0.03)


def test_no_other_temperature_has_a_smaller_loss() -> None:
    answers, labels = drawn(1.7, 500)

    def loss(value: float) -> float:
        return float(-log_softmax(answers / value)[np.arange(500), labels].mean())

    best = temperature.fit(answers, labels)
    assert loss(best) <= min(loss(best * factor) for factor in (0.5, 0.99, 0.9999, 1.0001, 1.01, 2.0))


@pytest.mark.parametrize(("right", "expected"), [(True, 0.05), (False, 20.0)])
def test_answers_that_are_all_right_or_all_wrong_end_at_a_limit(right: bool, expected: float) -> None:
    answers = log_softmax(np.eye(10) * 4.0)
    labels = np.arange(10) if right else (np.arange(10) + 1) % 10
    assert temperature.fit(answers, labels) == pytest.approx(expected)


@pytest.mark.parametrize("net", [Perceptron([20], 0.2), Convolutional([3, 4], 0.2)], ids=["mlp", "cnn"])
def test_a_calibrated_network_is_of_the_same_kind(net: nn.Module) -> None:
    net.eval()
    images = torch.randn(200, 1, 28, 28)
    cool = calibrated(net, 0.5)
    assert type(cool) is type(net)
    assert not cool.training
    with torch.no_grad():
        before, after = net(images), cool(images)
    torch.testing.assert_close(after, (before / 0.5).log_softmax(1))
    assert (before.argmax(1) == after.argmax(1)).all()
    assert (before.amax(1) < after.amax(1)).all(), "surer"


def test_any_other_network_is_calibrated_too() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(1))
    images = torch.randn(5, 1, 28, 28)
    warm = calibrated(net, 2.0)
    assert isinstance(warm, Tempered)
    torch.testing.assert_close(warm(images), (net(images) / 2.0).log_softmax(1))
