"""Kullback-Leibler divergence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from digits.training.loss import Loss

if TYPE_CHECKING:
    import torch


class KullbackLeibler(Loss):
    """Σᵢ qᵢ·log(qᵢ/pᵢ) in nats, 0 to ∞, with 0·log 0 = 0; acts on log-probabilities.

    q is 1 - s at the label plus s/classes everywhere, s the label smoothing. It is cross entropy less the
    entropy of q, so the gradients are the same, and a perfect answer has loss 0.
    """

    label_smoothing: Annotated[float, Field(ge=0, le=1)]

    def __call__(self, log_probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        import torch
        from torch.nn import functional

        classes = log_probabilities.shape[1]
        q = torch.full_like(log_probabilities, self.label_smoothing / classes)
        at_label = torch.full_like(q[:, :1], 1 - self.label_smoothing)
        q = q.scatter_add(1, labels[:, None], at_label)
        # Where q is 0, so is the term, even if p is 0 as well and its logarithm infinite.
        return functional.kl_div(log_probabilities.masked_fill(q == 0, 0), q, reduction="batchmean")
