"""Euclidean distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digits.training.loss import Loss, probabilities_and_targets

if TYPE_CHECKING:
    import torch


class EuclideanDistance(Loss):
    """√Σᵢ(pᵢ - yᵢ)², 0 to √2; acts on probabilities."""

    def __call__(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        import torch

        p, y = probabilities_and_targets(log_probabilities, labels)
        # The gradient is a unit vector however small the distance, and 0 at 0, where the formula has none.
        distances: torch.Tensor = torch.linalg.vector_norm(p - y, dim=1)
        return distances.mean()
