"""The convolutional network as a network of PyTorch."""

from itertools import pairwise

import torch
from torch import nn

from digits.networks.dropout import Dropout


class Convolutional(nn.Module):
    """Images [batch, 1, 28, 28] to log-probabilities [batch, classes].

    Each block: two 3 x 3 convolutions, the second with stride 2, both followed by batch normalization and
    ReLU. The mean over the last block's pixels, dropout and a linear layer give the answer.
    Where they are separable, a convolution of several channels is a depthwise one and a pointwise one. A stem
    comes before the blocks: a 5 x 5 convolution with stride 2, normalized and rectified in the same way.
    """

    def __init__(
        self,
        channels: list[int],
        dropout: float,
        classes: int = 10,
        separable: bool = False,
        stem: int = 0,
    ) -> None:
        super().__init__()
        before = [nn.Conv2d(1, stem, 5, 2, padding=2, bias=False), *_rectified(stem)] if stem else []
        blocks = (_block(*pair, separable) for pair in pairwise([stem or 1, *channels]))
        self.layers = nn.Sequential(*before, *(layer for block in blocks for layer in block))
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(channels[-1], classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first, *others = self.layers
        if self.training:
            # The same memory, with strides that say channels last: of one channel alone, PyTorch takes it for
            # the opposite, and copies what the first layer gives, and its gradient.
            images = images.reshape(len(images), *images.shape[2:], 1).permute(0, 3, 1, 2)
        # Channels last is a third faster on a CPU; the layers after this one keep to it.
        values = first(images).contiguous(memory_format=torch.channels_last)
        for layer in others:
            values = layer(values)
        # Not AdaptiveAvgPool2d: its gradient is not deterministic on a GPU.
        means = values.mean((2, 3))
        answer: torch.Tensor = self.output(self.dropout(means))
        return answer.log_softmax(1)


def _block(inputs: int, outputs: int, separable: bool) -> list[nn.Module]:
    return [
        *_convolution(inputs, outputs, 1, separable),
        *_rectified(outputs),
        *_convolution(outputs, outputs, 2, separable),
        *_rectified(outputs),
    ]


def _rectified(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


def _convolution(inputs: int, outputs: int, stride: int, separable: bool) -> list[nn.Module]:
    if separable and inputs > 1:
        return [
            nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
        ]
    return [nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)]
