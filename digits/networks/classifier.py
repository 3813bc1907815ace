"""The model that leaves the house: raw grey values in, log-probabilities out."""

import torch
from torch import nn


class Classifier(nn.Module):
    """A network with the normalization in front of it, so that no user can get that wrong.

    Takes uint8 [batch, 1, 28, 28], 0 (paper) to 255 (ink); returns log-probabilities [batch, classes] in the
    type of its weights: float32, or float64 after `.double()`.

    Args:
        familiarity: where it is known, what tells how much an image is like the training images: it takes
            grey values scaled to [0, 1] and returns [batch], as `digits.networks.familiarity.Familiarity`.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, net: nn.Module, mean: float, std: float, familiarity: nn.Module | None = None) -> None:
        super().__init__()
        self.net = net
        self.familiarity = familiarity
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        normalized: torch.Tensor = (self._scaled(image) - self.mean) / self.std
        output: torch.Tensor = self.net(normalized)
        return output

    def familiar(self, image: torch.Tensor) -> torch.Tensor:
        """How much each image is like the training images, [batch]; only where `familiarity` is known."""
        assert self.familiarity is not None
        found: torch.Tensor = self.familiarity(self._scaled(image))
        return found

    def _scaled(self, image: torch.Tensor) -> torch.Tensor:
        return image.to(self.mean.dtype) / 255
