"""How much an image is like those that a network was trained on, by itself and beside the network."""

import torch
from torch import nn
from torch.nn import functional

PIXELS = 14 * 14
"""Of an image whose areas of 2 x 2 pixels are averaged."""


def greys(normalized: torch.Tensor, mean: float, std: float) -> torch.Tensor:
    """Grey values scaled to [0, 1], as they were before they were normalized: float32, of any shape."""
    return ((normalized.double() * std + mean) * 255).round().float() / 255


class Familiarity(nn.Module):
    """The share of an image that the subspace of the most similar class explains, from 0 to nearly 1.

    Each class has an orthonormal basis, the principal directions of its training images around zero. What is
    measured is ‖Pz‖² / (‖z‖² + reserve), the largest over the classes, of the image z with areas of 2 x 2
    pixels averaged: the similarity of the subspace method (S. Watanabe, CLAFIC, 1967; E. Oja, Subspace
    Methods of Pattern Recognition, 1983). The reserve makes a blank image unlike any class.

    Args:
        basis: float32 [classes, k, 196], the rows of each class orthonormal or 0.
        reserve: above 0, in squares of grey values scaled to [0, 1].
    """

    basis: torch.Tensor
    """[classes · k, 196]."""
    owner: torch.Tensor
    """[classes, classes · k], 1 where a row of the basis is the class's: all sums as one product."""
    ones: torch.Tensor
    reserve: torch.Tensor

    def __init__(self, basis: torch.Tensor, reserve: float) -> None:
        super().__init__()
        self.register_buffer("basis", basis.flatten(0, 1).contiguous())
        self.register_buffer("owner", torch.eye(len(basis)).repeat_interleave(basis.shape[1], dim=1))
        self.register_buffer("ones", torch.ones(1, basis.shape[2]))
        self.register_buffer("reserve", torch.tensor(reserve, dtype=torch.float32))

    @property
    def bases(self) -> torch.Tensor:
        """[classes, k, 196]."""
        return self.basis.reshape(len(self.owner), -1, PIXELS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Of images [batch, 1, 28, 28], grey values scaled to [0, 1]: [batch]."""
        averaged = functional.avg_pool2d(images, 2).flatten(1)
        along = functional.linear(averaged, self.basis)
        explained = functional.linear(along * along, self.owner)
        total = functional.linear(averaged * averaged, self.ones) + self.reserve
        shares: torch.Tensor = (explained / total).amax(1)
        return shares
