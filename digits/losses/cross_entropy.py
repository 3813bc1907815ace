"""Cross entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from digits.training.loss import Loss, cross_entropy_gradient

if TYPE_CHECKING:
    import torch


class CrossEntropy(Loss):
    """-Σ qᵢ·log pᵢ in nats, 0 to ∞; q is 1 - s at the label plus s/classes everywhere, s the smoothing."""

    label_smoothing: Annotated[float, Field(ge=0, le=1)]

    def __call__(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        # The network already returns log p, so this is `cross_entropy` without its second log-softmax.
        loss = functional.nll_loss(log_probabilities, labels)
        if self.label_smoothing:
            loss = (1 - self.label_smoothing) * loss - self.label_smoothing * log_probabilities.mean()
        return loss

    def gradient(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return cross_entropy_gradient(log_probabilities, labels, self.label_smoothing)
