"""Distillation: a student learns from the answers of a trained teacher, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveFloat

from digits.common.section import TopSection

if TYPE_CHECKING:
    import torch


class Distillation(TopSection):
    """weight·T²·KL(teacher‖student) in nats, 0 to ∞, of both networks' probabilities at the temperature T.

    At a temperature above 1 the teacher's small probabilities count more, and so what it finds alike. T²
    keeps the gradient as large as at T = 1. Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural
    Network (2015).
    """

    key = "distillation"

    weight: PositiveFloat
    temperature: PositiveFloat

    def soften(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """The logarithms of the probabilities at the temperature T, [batch, classes]."""
        # Logits differ from log-probabilities by a constant for each image, which softmax takes away.
        return (log_probabilities / self.temperature).log_softmax(1)

    def __call__(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """T²·KL(teacher‖student), the mean over the batch; both are log-probabilities [batch, classes]."""
        from torch.nn import functional

        divergence = functional.kl_div(
            self.soften(student), self.soften(teacher), log_target=True, reduction="batchmean"
        )
        return divergence * self.temperature**2
