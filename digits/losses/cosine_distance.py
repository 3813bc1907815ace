"""Cosine distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digits.training.loss import Loss, probabilities_and_targets

if TYPE_CHECKING:
    import torch


class CosineDistance(Loss):
    """1 - p·y/(‖p‖‖y‖), 0 to 1; acts on probabilities, of which only the direction counts."""

    def __call__(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        p, y = probabilities_and_targets(log_probabilities, labels)
        # Lengths below 1e-8 count as 1e-8, so the distance from a zero vector is 1.
        return 1 - functional.cosine_similarity(p, y, dim=1, eps=1e-8).mean()
