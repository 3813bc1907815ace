"""What a training minimizes on each batch."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

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

    def rows(self, chosen: slice) -> "Targets":
        """Those of a part of the batch."""
        return Targets(self.labels[chosen], None if self.teacher is None else self.teacher[chosen])

    @classmethod
    def joined(cls, parts: list["Targets"]) -> "Targets":
        """Those of several batches."""
        teachers = [part.teacher for part in parts if part.teacher is not None]
        return cls(torch.cat([part.labels for part in parts]), torch.cat(teachers) if teachers else None)


class Objective:
    """`train.loss`, and with a teacher `distillation.weight` times the distillation from it."""

    def __init__(self, values: TrainingValues, teacher: nn.Module | None) -> None:
        self._loss, self._name = values.loss, str(values.train.loss)
        self._distillation, self._teacher = values.distillation, teacher

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
        value = self._loss(output, targets.labels)
        if targets.teacher is not None:
            value = value + self._distillation.weight * self._distillation(output, targets.teacher)
        return value

    def gradient(self, output: torch.Tensor, targets: Targets) -> torch.Tensor | None:
        """∂value/∂output, [batch, classes], where it has a short form, as it may have for a single loss."""
        if isinstance(self._loss, WeightedSum) or targets.teacher is not None:
            return None
        return self._loss.gradient(output, targets.labels)

    def terms(self, output: torch.Tensor, targets: Targets) -> dict[str, float]:
        """What it is the sum of, each on its own and without its weight; nothing where it is one loss."""
        if isinstance(self._loss, WeightedSum):
            terms = self._loss.each(output, targets.labels)
        elif targets.teacher is None:
            return {}
        else:
            terms = {self._name: float(self._loss(output, targets.labels))}
        if targets.teacher is not None:
            terms["distillation"] = float(self._distillation(output, targets.teacher))
        return terms
