"""Errors of the layers, and what becomes of them on the way to the logits. docs/proof.md has the theorem."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from digits.onnx import windows
from digits.onnx.layers import Convolution, Layer
from digits.onnx.rounding import MISSED, OUTWARD, gamma, underflow

OF_NORMALIZATION = 8
"""More roundings of a term: (grey / 255 - mean) / std, with divisions or reciprocals, or folded."""
DOUBTS = 8
"""Units per image whose state is looked at more closely, in a layer; if there are more, none is."""


class Forward(NamedTuple):
    """One layer of some images."""

    outputs: Tensor
    """z, exact to float64, before the ReLU."""
    error: Tensor
    """The most by which a runtime's differ, by sums of absolute values."""
    total: Tensor
    """The same behind the ReLU."""
    sharp: Tensor
    """That again, smaller where the signs of the weights were looked at."""
    added: Tensor
    """What of that is not the error of the layers before, carried through the signs of their weights."""
    slope: Tensor
    """How much of an error of the inputs goes through the ReLU: 1 or 0, and where the error could change its
    state, something between, and `added` has the rest: with an error d of at most t, |z| < t,
    relu(z + d) - relu(z) is within (t - |z|) / 2 of d (t + z) / 2t."""


LocalError = Callable[[Layer, Tensor, Tensor], Tensor]
"""What `local_error` is to float32."""


def of_logits(network: Sequence[Layer], forwards: Sequence[Forward]) -> Tensor:
    """The most by which the difference of two logits can be wrong: [n, classes, classes]."""
    last = forwards[-1]
    found = last.added[:, :, None] + last.added[:, None]
    rows = torch.eye(last.outputs.shape[1], dtype=torch.float64).expand(len(last.outputs), -1, -1)
    for carried, added in _carried(network, forwards, rows):
        found += _of_pairs(carried, added)
    missed = MISSED * len(network) * last.total  # each layer's share is below the total error
    found += missed[:, :, None] + missed[:, None]
    return found


@torch.inference_mode()
def forward(network: Sequence[Layer], pictures: Tensor, mean: float, std: float) -> list[Forward]:
    """What each layer answers, of pictures [n, 1, 28, 28] in [0, 1]."""
    forwards = [_first(network[0], pictures, mean, std)]
    for number in range(1, len(network)):
        forwards.append(following(network[: number + 1], forwards, local_error))
    return forwards


def _first(layer: Layer, pictures: Tensor, mean: float, std: float) -> Forward:
    local = first_error(layer, pictures, mean, std)
    return _settled([layer], [], layer.values((pictures - mean) / std), local, local, local, 0)


def first_error(layer: Layer, pictures: Tensor, mean: float, std: float) -> Tensor:
    """Of the first layer's outputs, with the normalization before it or in it; it grows with the ink."""
    rounded = gamma(layer.roundings + OF_NORMALIZATION)
    ink, paper = pictures / std, torch.full_like(pictures[:1], mean / std)
    terms = layer.sizes(ink + paper.abs()) + layer.bias_size + _folded(layer, -paper)
    return (rounded * (1 + rounded) * terms + underflow(layer, ink + paper.abs())) * OUTWARD


def _folded(layer: Layer, blank: Tensor) -> Tensor:
    """How large the bias can be that has the mean in it: summed up in float32, it is then a term more."""
    return (layer.values(blank) - layer.bias).abs() + layer.bias_size


def following(
    network: Sequence[Layer], forwards: Sequence[Forward], local_error: LocalError, doubts: float = DOUBTS
) -> Forward:
    """The last layer of `network`, by all those before it."""
    before, layer = network[-2:]
    exact, total, sharp = forwards[-1].outputs, forwards[-1].total, forwards[-1].sharp
    if before.rectified:
        exact = exact.clamp(min=0)
    outputs, carried = layer.values(exact), layer.sizes(sharp)
    local = local_error(layer, exact.abs() + sharp, outputs.abs() + carried)
    total, sharp = ((local + those) * OUTWARD for those in (layer.sizes(total), carried))
    return _settled(network, forwards, outputs, local, total, sharp, doubts)


def local_error(layer: Layer, inputs: Tensor, outputs: Tensor | None = None) -> Tensor:
    """By how much a runtime's W a + b can be wrong for its own `a`, which are at most `inputs` in size.

    How large W a + b can be, `outputs`, does not matter here: rounding it is one of the sum's roundings.
    """
    local = gamma(layer.roundings) * (layer.sizes(inputs) + layer.bias_size)
    return (local + underflow(layer, inputs)) * OUTWARD


def _settled(
    network: Sequence[Layer],
    forwards: Sequence[Forward],
    outputs: Tensor,
    local: Tensor,
    total: Tensor,
    sharp: Tensor,
    doubts: float,
) -> Forward:
    """The last layer of `network` with its ReLU, by the errors of its outputs."""
    if not network[-1].rectified:
        return Forward(outputs, total, total, sharp, local, torch.ones_like(total))
    closer = _sharpened(network, forwards, outputs, local, total, sharp, doubts) if doubts else sharp
    slope, rest = _relu(outputs, closer)
    behind, sharp = (
        torch.where(outputs > 0, errors, (errors + outputs).clamp(min=0)) for errors in (total, closer)
    )
    return Forward(outputs, total, behind, sharp, slope * local + rest, slope)


def _relu(outputs: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    """How much of an error of at most `errors` a ReLU lets through, and how far that may be wrong."""
    slope = ((errors + outputs) / (2 * errors)).clamp(0, 1)
    return slope, (errors - outputs.abs()).clamp(min=0) / 2


def _sharpened(
    network: Sequence[Layer],
    forwards: Sequence[Forward],
    outputs: Tensor,
    local: Tensor,
    total: Tensor,
    sharp: Tensor,
    doubts: float,
) -> Tensor:
    """`sharp`, smaller where it could change the state of a ReLU and the signs of the weights count."""
    images, units = (outputs.abs() <= sharp).flatten(1).nonzero(as_tuple=True)
    if not 0 < len(images) <= doubts * len(outputs):
        return sharp
    error = (local + MISSED * len(network) * total).flatten(1)[images, units]
    if isinstance(network[-1], Convolution):
        slopes, behind = [before.slope for before in forwards], [before.added for before in forwards]
        error += windows.carried(network, slopes, behind, images, units)
    else:
        rows = torch.zeros(len(images), 1, outputs[0].numel(), dtype=torch.float64)
        rows[range(len(images)), 0, units] = 1
        some = [Forward(*(part[images] for part in before)) for before in forwards]
        for carried, added in _carried(network, some, rows.unflatten(2, outputs.shape[1:])):
            error += (carried[:, 0].abs() * added).sum(1)
    closer = sharp.flatten(1).clone()
    closer[images, units] = torch.minimum(error * OUTWARD, closer[images, units])
    return closer.view_as(sharp)


def _carried(
    network: Sequence[Layer], forwards: Sequence[Forward], rows: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """From the last hidden layer to the first: rows and what they meet, [n, r, units] and [n, units].

    The rows are `rows` [n, r, *outputs] times the layers behind, with their signs; they meet what is `added`.
    """
    for layer, before in zip(reversed(network[1:]), reversed(forwards[: len(network) - 1]), strict=True):
        rows = layer.back(rows)
        yield rows.flatten(2), before.added.flatten(1)
        rows = rows * before.slope[:, None]


def _of_pairs(rows: Tensor, errors: Tensor) -> Tensor:
    """Σ |rᵢ - rⱼ| e for each pair of rows [n, classes, m], with errors [n, m]: [n, classes, classes]."""
    scaled = rows * errors[:, None]
    found = scaled.new_zeros(len(rows), rows.shape[1], rows.shape[1])
    for i in range(rows.shape[1] - 1):
        found[:, i, i + 1 :] = (scaled[:, i, None] - scaled[:, i + 1 :]).abs_().sum(2)
    return found + found.transpose(1, 2)
