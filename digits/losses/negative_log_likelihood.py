"""Negative log-likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digits.training.loss import Loss, cross_entropy_gradient

if TYPE_CHECKING:
    import torch


class NegativeLogLikelihood(Loss):
    """-log p of the label, in nats, 0 to ∞; acts on log-probabilities. It is cross entropy unsmoothed."""

    def __call__(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        return functional.nll_loss(log_probabilities, labels)

    def gradient(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return cross_entropy_gradient(log_probabilities, labels)
