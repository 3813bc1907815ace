"""Squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digits.training.loss import Loss, probabilities_and_targets

if TYPE_CHECKING:
    import torch


class MeanSquaredError(Loss):
    """Σᵢ(pᵢ - yᵢ)², 0 to 2; acts on probabilities. Brier's score (1950), ten times PyTorch's `mse_loss`."""

    def __call__(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        p, y = probabilities_and_targets(log_probabilities, labels)
        return (p - y).square().sum(1).mean()
