"""A small convolutional network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from digits.common.numbers import NonNegativeInt, PositiveInt
from digits.networks.model import Model

if TYPE_CHECKING:
    from torch import nn


class ConvolutionalNet(Model):
    """Blocks of 3 x 3 convolutions, batch normalization and ReLU that halve the image; a linear layer."""

    channels: Annotated[
        list[PositiveInt], Field(min_length=1, max_length=4, description="of each block's convolutions")
    ]
    dropout: Annotated[float, Field(ge=0, lt=1, description="before the linear layer")]
    separable: Annotated[
        bool, Field(description="a 3 x 3 filter for each channel, then a weighted sum of them")
    ] = False
    stem: Annotated[
        NonNegativeInt,
        Field(description="channels of a 5 x 5 convolution before the blocks that halves the image; 0: none"),
    ] = 0

    def build(self, classes: int = 10) -> nn.Module:
        from digits.networks.convolutional import Convolutional

        return Convolutional(self.channels, self.dropout, classes, self.separable, self.stem)
