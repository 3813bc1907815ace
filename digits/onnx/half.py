"""How far the answers of a float16 model can be from the exact ones. docs/proof.md has the theorem."""

import math
import sys
from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from digits.onnx import bound, file_layers, propagation
from digits.onnx.bound import Bounds
from digits.onnx.layers import Convolution, Layer, Mean, work
from digits.onnx.propagation import Forward
from digits.onnx.rounding import OUTWARD, UNIT, gamma, of_log_softmax, underflow

HALF = 2.0**-11
"""The unit roundoff of float16, to nearest."""
SINGLE = UNIT
TINY = 2.0**-25
"""What rounding a subnormal float16 number can come to: they are kept, not flushed to zero."""
LARGEST = 65504.0 / 2
"""Above this nothing is promised; float16 ends at twice as much."""
OF_A_QUOTIENT = 2
"""Roundings: of a reciprocal, and of the product with it."""
OF_RESULTS = 2
"""Of a layer's sums: without the bias, and with it."""
SPREAD, CONSTANT = 3.0, 4.0
"""Of log-softmax, as in `rounding`: two subtractions, of which the second takes less than 2.5."""
DOUBTS = 100
"""As in `propagation`; of convolutions, whose units see few pixels each, all are looked at. With sums in
float16 all units are in doubt, and none is."""
WORK = 2e8
"""Multiplications for the answers to as many images as have bounds in a minute or two, by convolutions."""
CHUNK = 50


class Identity(Layer):
    """The normalized image, before the first layer."""

    def _apply(self, values: Tensor, weight: Tensor) -> Tensor:
        return values

    def _back(self, rows: Tensor) -> Tensor:
        return rows


def bounds(content: bytes, images: NDArray[np.uint8], sums: float = SINGLE) -> Bounds:
    """What every runtime must answer that rounds to float16 at most once for each of its operations.

    Args:
        content: the file, whose numbers are float16.
        images: raw, uint8 [n, 1, 28, 28].
        sums: the unit roundoff of a layer's sums until they are stored: that of float32, or HALF.

    Raises:
        UnknownNetworkError: the file has a layer of a kind that the theorem does not treat.
    """
    file = file_layers.read(content)
    network = file_layers.rectified(file.steps)
    of_pictures = partial(_bounds, network, mean=file.mean, std=file.std, sums=sums)
    return bound.in_chunks(of_pictures, network, images, CHUNK)


def affordable(content: bytes) -> int:
    """How many images to give `bounds`; more take minutes.

    Raises:
        UnknownNetworkError: as `bounds`.
    """
    network = file_layers.rectified(file_layers.read(content).steps)
    return max(1, int(WORK / work(network))) if _has_windows(network) else sys.maxsize


def _has_windows(network: Iterable[Layer]) -> bool:
    return any(isinstance(layer, Convolution) for layer in network)


def _bounds(
    layers: list[Layer], pictures: Tensor, mean: float, std: float, sums: float
) -> tuple[Tensor, Tensor]:
    doubts = 0 if sums == HALF else math.inf if _has_windows(layers) else DOUBTS
    network, forwards = [_identity(pictures), *layers], [_normalized(pictures, mean, std)]
    local_error = partial(_local_error, sums=sums)
    for number in range(1, len(network)):
        forwards.append(propagation.following(network[: number + 1], forwards, local_error, doubts))
    logits, found = forwards[-1].outputs, propagation.of_logits(network, forwards)
    distances = logits.amax(1, keepdim=True) - logits
    found = (found + of_log_softmax(distances, found, HALF, SPREAD, CONSTANT)) * OUTWARD
    sizes = [_sizes(layer, before) for layer, before in zip(network[1:], forwards, strict=False)]
    sizes.append(forwards[0].outputs.abs().flatten(1).amax(1))
    safe = (torch.stack(sizes).amax(0) <= LARGEST) & (4 * TINY < std * HALF < 0.5)
    return logits, found.masked_fill(~safe[:, None, None], torch.inf).nan_to_num(torch.inf, torch.inf)


def _identity(pictures: Tensor) -> Identity:
    none = torch.zeros((), dtype=torch.float64)
    return Identity(tuple(pictures.shape[1:]), none, none, none, 1, 0, 1.0)


def _normalized(pictures: Tensor, mean: float, std: float) -> Forward:
    """As a layer before the others, whose errors are carried through them with their signs."""
    quotient = gamma(OF_A_QUOTIENT, HALF)
    ink = quotient * pictures + TINY
    # Where there is no ink, 0 - mean is exact.
    rest = ink + HALF * ((pictures - mean).abs() + ink) * (pictures > 0) + TINY
    error = ((rest + quotient * ((pictures - mean).abs() + rest)) / std + TINY) * OUTWARD
    return Forward((pictures - mean) / std, error, error, error, error, torch.ones_like(error))


def _local_error(layer: Layer, inputs: Tensor, outputs: Tensor, sums: float) -> Tensor:
    """As `propagation.local_error`: what the sum can lose, then the roundings of its result to float16."""
    summed = gamma(layer.roundings, sums) * (layer.sizes(inputs) + layer.bias_size)
    summed = summed + (TINY * layer.terms if sums == HALF else underflow(layer, inputs))
    stored = gamma(OF_RESULTS, HALF) * (outputs + summed + layer.bias_size) + OF_RESULTS * TINY
    return (summed + stored) * OUTWARD


def _sizes(layer: Layer, before: Forward) -> Tensor:
    """The largest number that can come up in this layer, for each image: [n]."""
    terms = layer.terms if isinstance(layer, Mean) else 1  # which are added up before they are divided
    sums = layer.sizes(before.outputs.abs() + before.total) * terms + layer.bias_size
    return sums.flatten(1).amax(1)
