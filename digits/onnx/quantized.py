"""How far the answers of an 8-bit model can be from the exact ones. docs/proof.md has the theorem."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from digits.onnx import file_layers
from digits.onnx.bound import CHUNK, Bounds, in_chunks
from digits.onnx.file_layers import File, Grid, Relu, Step
from digits.onnx.layers import Layer
from digits.onnx.rounding import OUTWARD, gamma, of_log_softmax, underflow

OF_NORMALIZATION = 5
"""Roundings of (grey / 255 - mean) / std, in float32: the three operations, and two reciprocals."""
OF_SCALES = 8
"""Of a number besides its sum: scales multiplied or divided, by each other first, or their reciprocals."""
TINY = 2.0**-126


def bounds(content: bytes, images: NDArray[np.uint8]) -> Bounds:
    """What every runtime must answer of a file with QuantizeLinear and DequantizeLinear.

    A number that goes onto a grid is known where rounding cannot bring it to the next step; where it can,
    that step is its error. So the errors are few and large, and are carried on by their absolute values.

    Args:
        content: the file.
        images: raw, uint8 [n, 1, 28, 28].

    Raises:
        UnknownNetworkError: the file has a layer of a kind that the theorem does not treat.
    """
    file = file_layers.read(content)
    network = [step for step in file.steps if isinstance(step, Layer)]
    return in_chunks(lambda pictures: _bounds(file, pictures), network, images, CHUNK)


def _bounds(file: File, pictures: Tensor) -> tuple[Tensor, Tensor]:
    size = (pictures + abs(file.mean)) / file.std
    values, error = (pictures - file.mean) / file.std, gamma(OF_NORMALIZATION) * size * OUTWARD
    for step in file.steps:
        values, error = _after(step, values, error)
    error = (error + gamma(OF_SCALES) * values.abs()) * OUTWARD
    pairs = error[:, :, None] + error[:, None]
    pairs = (pairs + of_log_softmax(values.amax(1, keepdim=True) - values, pairs)) * OUTWARD
    return values, pairs.nan_to_num(torch.inf, torch.inf)


def _after(step: Step, values: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
    """What a step makes of exact values, and of the most by which a runtime's differ."""
    if isinstance(step, Relu):
        return values.clamp(min=0), torch.where(values > 0, error, (error + values).clamp(min=0))
    if isinstance(step, Grid):
        reach = (error + gamma(OF_SCALES) * (values.abs() + error) + TINY) * OUTWARD
        low, middle, high = (step.nearest(v) for v in (values - reach, values, values + reach))
        return middle, torch.maximum(high - middle, middle - low) * OUTWARD
    inputs = values.abs() + error
    summed = gamma(step.roundings + OF_SCALES) * (step.sizes(inputs) + step.bias_size)
    added = summed + underflow(step, inputs)
    return step.values(values), (added + step.sizes(error)) * OUTWARD
