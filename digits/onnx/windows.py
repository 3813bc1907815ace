"""What single units of a convolutional network make of the errors before them: a window of each layer.

A unit sees a few pixels alone. Its row of a product of layers is zero elsewhere, and is computed there alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from digits.onnx.layers import Convolution, Layer

NUMBERS = 200_000
"""In the largest windows of all units that are looked at in one go: 1.6 MB, which stays in a core's cache."""


class Window(NamedTuple):
    """A square of pixels for each of r units, which may reach beyond the image."""

    rows: Tensor
    """[r, channels, side, side]"""
    top: Tensor
    """[r]"""
    left: Tensor
    """[r]"""

    def of(self, values: Tensor, images: Tensor) -> Tensor:
        """What `values` [n, channels, height, width] are here in `images` [r]; 0 beyond them."""
        height, width = values.shape[2:]
        side = self.rows.shape[2]
        down, down_in = _places(self.top, side, height)
        over, over_in = _places(self.left, side, width)
        channels = torch.arange(values.shape[1])[None, :, None, None]
        places = (channels * height + down[:, None, :, None]) * width + over[:, None, None, :]
        found = values.flatten(1)[images[:, None, None, None], places]
        return found * (down_in[:, None, :, None] & over_in[:, None, None, :])

    def back(self, layer: Convolution) -> Window:
        """Times the weights of the layer that the rows belong to."""
        rows = functional.conv_transpose2d(self.rows, layer.weight, stride=layer.stride)
        return Window(rows, *(first * layer.stride - layer.padding for first in (self.top, self.left)))


def _places(first: Tensor, side: int, size: int) -> tuple[Tensor, Tensor]:
    """Places along one axis [r, side], and whether they are within an image of this size."""
    places = first[:, None] + torch.arange(side)
    return places.clamp(0, size - 1), (places >= 0) & (places < size)


def carried(
    network: Sequence[Layer], slopes: Sequence[Tensor], added: Sequence[Tensor], images: Tensor, units: Tensor
) -> Tensor:
    """The most by which errors of the layers before can change single units of the last one: [r].

    Args:
        network: up to the layer of the units, all convolutions; the first may pass on its inputs instead.
        slopes: how much of an error goes through each layer's ReLU, [n, *outputs], for all but the last.
        added: the errors that each adds behind its ReLU, [n, *outputs].
        images: of the units, [r].
        units: their places, each a number within its image's outputs, [r].
    """
    side, largest = 1, 1
    for layer in reversed(network):
        if isinstance(layer, Convolution):
            side = (side - 1) * layer.stride + layer.weight.shape[2]
            largest = max(largest, layer.shape[0] * side**2)
    step = max(1, NUMBERS // largest)
    parts = zip(images.split(step), units.split(step), strict=True)
    return torch.cat([_carried(network, slopes, added, *part) for part in parts])


def _carried(
    network: Sequence[Layer], slopes: Sequence[Tensor], added: Sequence[Tensor], images: Tensor, units: Tensor
) -> Tensor:
    last = network[-1]
    channels, height, width = last.values(torch.zeros(1, *last.shape, dtype=torch.float64)).shape[1:]
    channel, place = units // (height * width), units % (height * width)
    rows = torch.eye(channels, dtype=torch.float64)[channel][:, :, None, None]
    window, found = Window(rows, place // width, place % width), rows.new_zeros(len(rows))
    for layer, slope, error in zip(reversed(network), reversed(slopes), reversed(added), strict=False):
        if isinstance(layer, Convolution):
            window = window.back(layer)
        found += (window.rows.abs() * window.of(error, images)).flatten(1).sum(1)
        window = window._replace(rows=window.rows * window.of(slope, images))
    return found
