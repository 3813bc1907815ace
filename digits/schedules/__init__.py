"""Learning-rate schedules, chosen by `train.schedule`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from digits.registry import Section, discover

if TYPE_CHECKING:
    import torch


class Schedule(Section):
    """The values of one schedule."""

    @abstractmethod
    def build(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        """The PyTorch scheduler of this optimizer; it is stepped once after each epoch."""


SCHEDULES = discover(__name__, Schedule)
