"""One error bound for every image that there can be, by intervals."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from digits.networks.classifier import Classifier
from digits.onnx import layers
from digits.onnx.layers import Layer, Mean, UnknownNetworkError
from digits.onnx.propagation import first_error, local_error
from digits.onnx.rounding import MISSED, OUTWARD, OVERFLOW, gamma, of_log_softmax


class Reach(NamedTuple):
    """What a layer's outputs can be, before the ReLU, over all images."""

    middle: Tensor
    radius: Tensor
    """Exact outputs lie within this of `middle`."""
    local: Tensor
    """A runtime's lie within this of W a + b for its own `a`."""
    error: Tensor
    """A runtime's lie within this of the exact ones."""


KEY = "safe_margin"
"""In the metadata of the ONNX file."""


def metadata(classifier: Classifier) -> dict[str, str]:
    """`safe_margin`, for the ONNX file; nothing where there is no bound."""
    try:
        margin = safe_margin(classifier)
    except UnknownNetworkError:
        return {}
    return {KEY: repr(margin)} if math.isfinite(margin) else {}


@torch.inference_mode()
def safe_margin(classifier: Classifier) -> float:
    """Where a float32 runtime's two largest log-probabilities differ by more, none predicts another digit.

    For every 28 x 28 image of grey values, in natural logarithms, rounded up to three digits. It is twice the
    bound on the error of a difference: that runtime may be wrong, and the other, in the opposite way.

    Raises:
        UnknownNetworkError: the network has a layer of a kind that the theorem does not treat.
    """
    network = layers.of(classifier)
    margin = 2 * OUTWARD * float(_differences(network, float(classifier.mean), float(classifier.std)).max())
    if not math.isfinite(margin):
        return math.inf
    unit = 10.0 ** (math.floor(math.log10(margin)) - 2)
    return float(f"{math.ceil(margin / unit) * unit:.3g}")


def _differences(network: Sequence[Layer], mean: float, std: float) -> Tensor:
    """The most by which the difference of two log-probabilities can be wrong: [1, classes, classes]."""
    reached = [_first(network[0], mean, std)]
    for before, layer in pairwise(network):
        reached.append(_next(layer, _behind(before, reached[-1])))
    last = reached[-1]
    found = _of_logits(network, reached)
    distances = (last.middle + last.radius).amax(1, keepdim=True) - (last.middle - last.radius)
    found = (found + of_log_softmax(distances, found)) * OUTWARD
    safe = all(float(reach.error.max()) <= gamma(1) * OVERFLOW for reach in reached)
    return found if safe else torch.full_like(found, torch.inf)


def _of_logits(network: Sequence[Layer], reached: Sequence[Reach]) -> Tensor:
    """Products of the later layers, by intervals of their slopes, times what each layer adds."""
    classes = len(network[-1].bias)
    one = torch.eye(classes, dtype=torch.float64)
    low = high = (one[:, None] - one[None]).reshape(1, classes * classes, classes)
    found = reached[-1].local[:, :, None] + reached[-1].local[:, None]
    for layer, behind, reach in zip(network[:0:-1], network[-2::-1], reached[-2::-1], strict=True):
        low, high = _carried_back(layer, low, high)
        if behind.rectified:
            active = (reach.middle - reach.radius > reach.error)[:, None]
            idle = (reach.middle + reach.radius < -reach.error)[:, None]
            low = torch.where(active, low, low.clamp(max=0)).masked_fill(idle, 0)
            high = torch.where(active, high, high.clamp(min=0)).masked_fill(idle, 0)
        most = torch.maximum(low.abs(), high.abs()) * reach.local[:, None]
        found = found + most.flatten(2).sum(2).view(1, classes, classes)
    return found


def _carried_back(layer: Layer, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Rows within these limits times the layer's weights."""
    if isinstance(layer, Mean):
        return layer.back(low), layer.back(high)
    up = replace(layer, weight=layer.weight.clamp(min=0))
    down = replace(layer, weight=layer.weight.clamp(max=0))
    return up.back(low) + down.back(high), up.back(high) + down.back(low)


def _first(layer: Layer, mean: float, std: float) -> Reach:
    white = torch.ones(1, *layer.shape, dtype=torch.float64)
    error = first_error(layer, white, mean, std)
    return _reach(layer, (white / 2 - mean) / std, white / 2 / std, error, error)


def _next(layer: Layer, inputs: Reach) -> Reach:
    local = local_error(layer, inputs.middle.abs() + inputs.radius + inputs.error)
    return _reach(layer, inputs.middle, inputs.radius, local, (local + layer.sizes(inputs.error)) * OUTWARD)


def _reach(layer: Layer, middle: Tensor, radius: Tensor, local: Tensor, error: Tensor) -> Reach:
    missed = MISSED * (layer.sizes(middle.abs()) + layer.bias_size)
    return Reach(layer.values(middle), (layer.sizes(radius) + missed) * OUTWARD, local, error)


def _behind(layer: Layer, reach: Reach) -> Reach:
    """The same behind the ReLU, if there is one."""
    if not layer.rectified:
        return reach
    low, high = reach.middle - reach.radius, reach.middle + reach.radius
    error = torch.minimum(reach.error, (reach.error + high).clamp(min=0))
    low, high = low.clamp(min=0), high.clamp(min=0)
    return Reach((low + high) / 2, (high - low) / 2 * OUTWARD, reach.local, error)
