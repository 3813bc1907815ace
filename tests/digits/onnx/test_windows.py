"""Windows of single units against whole rows of the product of the layers: any sizes, strides and borders."""

import random

import pytest
import torch
from torch import Tensor

from digits.onnx import windows
from digits.onnx.layers import Convolution


def drawn(chance: random.Random) -> tuple[list[Convolution], list[Tensor], list[Tensor]]:
    """Convolutions in a row; of all but the last, what goes through each ReLU, and what it adds."""
    network, slopes, added = list[Convolution](), list[Tensor](), list[Tensor]()
    shape: tuple[int, ...] = (chance.choice((1, 2)), 11, 9)
    for _ in range(chance.choice((2, 3, 4))):
        size, stride = chance.randint(1, min(3, *shape[1:])), chance.choice((1, 1, 2))
        weight = torch.randn(chance.choice((1, 3)), shape[0], size, size, dtype=torch.float64)
        bias = torch.zeros(len(weight), 1, 1, dtype=torch.float64)
        padding = chance.randrange(size)
        layer = Convolution(shape, weight, bias, bias, 1, 1, 1.0, stride=stride, padding=padding)
        network.append(layer)
        shape = tuple(layer.values(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:])
        slopes.append(torch.rand(5, *shape, dtype=torch.float64))
        added.append(torch.rand(5, *shape, dtype=torch.float64))
    return network, slopes[:-1], added[:-1]


@pytest.mark.parametrize("number", range(12))
def test_a_window_has_all_that_a_unit_sees(chance: random.Random, number: int) -> None:
    torch.manual_seed(chance.randrange(10**9))
    network, slopes, added = drawn(chance)
    outputs = network[-1].values(torch.zeros(5, *network[-1].shape, dtype=torch.float64))[0]
    images = torch.randint(5, (30,))
    units = torch.randint(outputs.numel(), (30,))
    rows = torch.zeros(30, 1, outputs.numel(), dtype=torch.float64)
    rows[range(30), 0, units] = 1
    rows, expected = rows.unflatten(2, outputs.shape), torch.zeros(30, dtype=torch.float64)
    for layer, slope, error in zip(network[:0:-1], slopes[::-1], added[::-1], strict=True):
        rows = layer.back(rows)
        expected += (rows.abs()[:, 0] * error[images]).flatten(1).sum(1)
        rows = rows * slope[images][:, None]
    found = windows.carried(network, slopes, added, images, units)
    torch.testing.assert_close(found, expected, atol=0, rtol=1e-12)
