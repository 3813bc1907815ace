"""Networks that nearly reach their error bound, and exceed one with a mistake in it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from digits.networks.classifier import Classifier
from digits.onnx import layers, propagation, rounding
from digits.onnx.bound import bounds
from tests.digits.onnx import orders
from tests.digits.onnx.bounded import NONE, WHITE, mlp, ratio, set_weights
from tests.digits.onnx.orders import ORDERS

LOST = 0.99 * 2**-24  # added to 1, it is rounded away


def summed_in_vain() -> Classifier:
    """All weights but the first are lost when it is added first, for two digits in opposite ways."""
    weight = torch.zeros(10, 784)
    weight[0], weight[0, 0] = LOST, 1
    weight[1] = -weight[0]
    return set_weights(mlp([], mean=0.0, std=1.0), (weight, NONE))


def revived(units: int = 64) -> Classifier:
    """Hidden units that are exactly just below 0, and above it when the small weights are lost."""
    weight = torch.full((units, 784), -LOST / 2)
    weight[:, 0] = 1
    exact = 1 + weight[0, 1].double() * 783
    bias = torch.full((units,), -float(exact) - 2**-24)
    output = torch.zeros(10, units)
    output[0], output[1] = 1, -1
    return set_weights(mlp([units], mean=0.0, std=1.0), (weight, bias), (output, NONE))


def carried_on() -> Classifier:
    """The error of the first layer, which the second only multiplies."""
    weight = torch.zeros(2, 784)
    weight[0], weight[0, 0] = LOST, 1
    output = torch.zeros(10, 2)
    output[0, 0], output[1, 0] = 1, -1
    return set_weights(mlp([2], mean=0.0, std=1.0), (weight, torch.zeros(2)), (output, NONE))


def folded_in_vain() -> Classifier:
    """Terms of the mean are rounded up while it is folded into the bias; then those of the ink are lost."""
    weight = torch.zeros(10, 784)
    weight[0], weight[0, 0] = -1.02 * 2**-24, -1
    weight[1] = -weight[0]
    return set_weights(mlp([], mean=0.5, std=0.5), (weight, NONE))


GREY = np.full((1, 1, 28, 28), 124, np.uint8)
GREY[0, 0, 0, 0] = 0
ATTACKS: dict[str, tuple[Classifier, NDArray[np.uint8], str, str, float]] = {
    "summed in vain": (summed_in_vain(), WHITE, "divided", "forwards", 0.85),
    "revived": (revived(), WHITE, "divided", "forwards", 0.15),
    "carried on": (carried_on(), WHITE, "divided", "forwards", 0.85),
    "folded in vain": (folded_in_vain(), GREY, "folded", "bias first", 0.85),
}


def attack(name: str) -> float:
    classifier, images, normalization, order, _ = ATTACKS[name]
    found = orders.answers(classifier, images, ORDERS[order], normalization)
    return ratio(found, bounds(classifier, images))


@pytest.mark.parametrize("name", ATTACKS)
def test_networks_made_for_it_come_close_to_the_bound(name: str) -> None:
    assert ATTACKS[name][-1] < attack(name) < 1


def half_gamma(roundings: int) -> float:
    return roundings * rounding.UNIT / 2


def no_doubt(outputs: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    return (outputs > 0).double(), torch.zeros_like(outputs)


def no_reserve(layer: layers.Layer, blank: Tensor) -> Tensor:
    return torch.zeros_like(layer.values(blank))


WRONG: dict[str, tuple[str, Callable[..., Any], str]] = {
    "gamma halved": ("gamma", half_gamma, "summed in vain"),
    "a ReLU in doubt taken for certain": ("_relu", no_doubt, "revived"),
    "errors of earlier layers forgotten": ("_carried", lambda *_: (), "carried on"),
    "the folded bias forgotten": ("_folded", no_reserve, "folded in vain"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_bound_with_a_mistake_is_exceeded(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, wrong, attacked_by = WRONG[mistake]
    monkeypatch.setattr(propagation, name, wrong)
    assert attack(attacked_by) > 1
