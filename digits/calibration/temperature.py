"""One number that all logits are divided by, so that the probabilities hold (Guo et al., 2017).

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: On Calibration of Modern Neural Networks, ICML 2017.
"""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

LIMITS = (0.05, 20.0)
STEPS = 200
"""Of a bisection of the logarithm: more than float64 can tell apart."""


def fit(log_probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """The temperature with the least negative log-likelihood of answers [n, classes] with their labels [n].

    The likelihood is convex in the inverse temperature, so its only root of the derivative is found by
    bisection in float64: the same answers give the same temperature. It lies from 0.05 to 20.
    """
    logits = log_probabilities.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    of_label = logits[np.arange(len(labels)), labels].mean()
    low, high = (1 / limit for limit in reversed(LIMITS))
    for _ in range(STEPS):
        middle = float(np.sqrt(low * high))
        weights = np.exp(logits * middle)
        expected = ((weights * logits).sum(axis=1) / weights.sum(axis=1)).mean()
        low, high = (middle, high) if expected < of_label else (low, middle)
    return float(1 / np.sqrt(low * high))


class Tempered(nn.Module):
    """A network whose logits are divided by a temperature after the fact."""

    def __init__(self, net: nn.Module, temperature: float) -> None:
        super().__init__()
        self.net, self.temperature = net, temperature

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.net(images) / self.temperature
        return output.log_softmax(1)


def calibrated(net: nn.Module, temperature: float) -> nn.Module:
    """A copy of `net` whose log-probabilities are calibrated: log-softmax of the logits / temperature.

    Where its last layer is a linear one named `output`, that layer's weights are divided, in float64, and
    rounded to float32: the calibrated network is then one of the same kind, of which the same can be proven.
    """
    if not isinstance(getattr(net, "output", None), nn.Linear):
        return Tempered(copy.deepcopy(net), temperature).train(net.training)
    tempered = copy.deepcopy(net)
    assert isinstance(tempered.output, nn.Linear)
    with torch.no_grad():
        for values in tempered.output.parameters():
            values.copy_((values.double() / temperature).to(values.dtype))
    return tempered
