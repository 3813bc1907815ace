"""The solver's learning rate throughout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digits.schedules import Schedule

if TYPE_CHECKING:
    import torch


class Constant(Schedule):
    """lr does not change."""

    def build(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        from torch.optim.lr_scheduler import LambdaLR

        return LambdaLR(optimizer, lambda epoch: 1.0)
