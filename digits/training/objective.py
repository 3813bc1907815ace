"""What a training minimizes on each batch."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from digits.training.outliers import NO_CLASS
from digits.training.sections import TrainingValues
from digits.training.weighted_sum import WeightedSum

Shared = Callable[[Callable[[torch.Tensor], torch.Tensor], torch.Tensor], torch.Tensor]
"""Calls a function of images, [batch, ...] to [batch, classes], on all of them."""


def in_this_process(function: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """Where nobody shares the work."""
    return function(images)


class Targets(NamedTuple):
    """What the network should answer."""

    labels: torch.Tensor
    """int64 [batch]"""
    teacher: torch.Tensor | None
    """Log-probabilities [batch, classes]."""

    def rows(self, chosen: slice | torch.Tensor) -> "Targets":
        """Those of a part of the batch."""
        return Targets(self.labels[chosen], None if self.teacher is None else self.teacher[chosen])

    @classmethod
    def joined(cls, parts: list["Targets"]) -> "Targets":
        """Those of several batches."""
        teachers = [part.teacher for part in parts if part.teacher is not None]
        return cls(torch.cat([part.labels for part in parts]), torch.cat(teachers) if teachers else None)


class Objective:
    """`train.loss`, and with a teacher `distillation.weight` times the distillation from it.

    Of an outlier it is the cross entropy to the same probability for every class, in place of both.
    """

    def __init__(self, values: TrainingValues, teacher: nn.Module | None) -> None:
        self._loss, self._name = values.loss, str(values.train.loss)
        self._distillation, self._teacher = values.distillation, teacher
        self._outliers = values.outliers.share > 0

    def targets(
        self, images: torch.Tensor, labels: torch.Tensor, shared: Shared = in_this_process
    ) -> Targets:
        """The labels, and what the teacher says of these images, [batch, 1, 28, 28].

        `shared` may let several processes ask their teachers about a part of the images each.
        """
        if self._teacher is None:
            return Targets(labels, None)
        with torch.no_grad():
            return Targets(labels, shared(self._teacher, images))

    def __call__(self, output: torch.Tensor, targets: Targets) -> torch.Tensor:
        """The mean over the batch, a scalar; `output` are log-probabilities [batch, classes]."""
        if not self._outliers:
            return self._of_classes(output, targets)
        known = targets.labels != NO_CLASS
        value = -output[~known].mean(1).sum()
        if known.any():
            value = value + known.sum() * self._of_classes(output[known], targets.rows(known))
        return value / len(output)

    def _of_classes(self, output: torch.Tensor, targets: Targets) -> torch.Tensor:
        value = self._loss(output, targets.labels)
        if targets.teacher is not None:
            value = value + self._distillation.weight * self._distillation(output, targets.teacher)
        return value

    def gradient(self, output: torch.Tensor, targets: Targets) -> torch.Tensor | None:
        """∂value/∂output, [batch, classes], where it has a short form, as it may have for a single loss."""
        if isinstance(self._loss, WeightedSum) or targets.teacher is not None:
            return None
        if not self._outliers:
            return self._loss.gradient(output, targets.labels)
        known = targets.labels != NO_CLASS
        of_classes = self._loss.gradient(output[known], targets.labels[known])
        if of_classes is None:
            return None
        gradient = torch.full_like(output, -1 / output.numel())
        gradient[known] = of_classes * (known.sum() / len(output))
        return gradient

    def terms(self, output: torch.Tensor, targets: Targets) -> dict[str, float]:
        """What it is the sum of, each on its own and without its weight; nothing where it is one loss.

        Outliers have no part in these.
        """
        if self._outliers:
            known = targets.labels != NO_CLASS
            output, targets = output[known], targets.rows(known)
        if isinstance(self._loss, WeightedSum):
            terms = self._loss.each(output, targets.labels)
        elif targets.teacher is None:
            return {}
        else:
            terms = {self._name: float(self._loss(output, targets.labels))}
        if targets.teacher is not None:
            terms["distillation"] = float(self._distillation(output, targets.teacher))
        return terms
