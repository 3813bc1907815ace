"""What a loss has to be, and what several losses have in common.

p are the network's probabilities, y is 1 at the label and 0 elsewhere, both over all classes.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from digits.common.section import Section

if TYPE_CHECKING:
    import torch


class Loss(Section):
    """The values of one loss; it acts on what the network returns. Each file of `digits/losses` has one."""

    @abstractmethod
    def __call__(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean loss over the batch, a scalar.

        `log_probabilities` is float [batch, classes], `labels` int64 [batch], each the index of one.
        """

    def gradient(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor | None:
        """∂loss/∂log-probabilities, [batch, classes], if it has a short form; None leaves it to autograd."""
        return None


def probabilities_and_targets(
    log_probabilities: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """p and y, both [batch, classes] of the type of `log_probabilities`."""
    from torch.nn import functional

    targets = functional.one_hot(labels, log_probabilities.shape[1])
    return log_probabilities.exp(), targets.to(log_probabilities.dtype)


def cross_entropy_gradient(
    log_probabilities: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """-q/batch, the gradient of the mean of -Σ qᵢ·log pᵢ; q is y with label smoothing."""
    import torch

    batch, classes = log_probabilities.shape
    rest = smoothing / classes
    gradient = torch.full_like(log_probabilities, -rest / batch)
    return gradient.scatter_(1, labels.unsqueeze(1), (smoothing - 1 - rest) / batch)
