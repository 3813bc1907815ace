"""Decay in steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, PositiveInt

from digits.schedules import Schedule

if TYPE_CHECKING:
    import torch


class Step(Schedule):
    """lr is multiplied by `gamma` every `step_size` epochs, as in `torch.optim.lr_scheduler.StepLR`."""

    step_size: PositiveInt
    gamma: Annotated[float, Field(gt=0, le=1)]

    def build(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        from torch.optim.lr_scheduler import StepLR

        return StepLR(optimizer, self.step_size, self.gamma)
