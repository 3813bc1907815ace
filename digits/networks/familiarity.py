"""How much an image is like those that a network was trained on, by itself and beside the network."""

import torch
from torch import nn
from torch.nn import functional

DIGITS, SIDE = 10, 14
PIXELS = SIDE * SIDE
"""Of an image whose areas of 2 x 2 pixels are averaged."""


def greys(normalized: torch.Tensor, mean: float, std: float) -> torch.Tensor:
    """Grey values scaled to [0, 1], as they were before they were normalized: float32, of any shape."""
    return ((normalized.double() * std + mean) * 255).round().float() / 255


class Familiarity(nn.Module):
    """The share of an image that the subspace of the most similar digit explains, from 0 to nearly 1.

    Each digit has an orthonormal basis, the principal directions of its training images around zero. What is
    measured is ‖Pz‖² / (‖z‖² + reserve), the largest over the digits, of the image z with areas of 2 x 2
    pixels averaged: the similarity of the subspace method (S. Watanabe, CLAFIC, 1967; E. Oja, Subspace
    Methods of Pattern Recognition, 1983). The reserve makes a blank image unlike any digit.

    Args:
        basis: float32 [10, k, 196], the rows of each digit orthonormal or 0.
        reserve: above 0, in squares of grey values scaled to [0, 1].
    """

    basis: torch.Tensor
    """[10 k, 196]."""
    digit: torch.Tensor
    """[10, 10 k], 1 where a row of the basis is the digit's: sums over its directions as one product."""
    ones: torch.Tensor
    reserve: torch.Tensor

    def __init__(self, basis: torch.Tensor, reserve: float) -> None:
        super().__init__()
        self.register_buffer("basis", basis.flatten(0, 1).contiguous())
        self.register_buffer("digit", torch.eye(len(basis)).repeat_interleave(basis.shape[1], dim=1))
        self.register_buffer("ones", torch.ones(1, basis.shape[2]))
        self.register_buffer("reserve", torch.tensor(reserve, dtype=torch.float32))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Of images [batch, 1, 28, 28], grey values scaled to [0, 1]: [batch]."""
        averaged = functional.avg_pool2d(images, 2).flatten(1)
        along = functional.linear(averaged, self.basis)
        explained = functional.linear(along * along, self.digit)
        total = functional.linear(averaged * averaged, self.ones) + self.reserve
        shares: torch.Tensor = (explained / total).amax(1)
        return shares
