"""What a schedule of the learning rate has to be: a pure function of how far the training is."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import NonNegativeFloat

from digits.common.section import Section


class Schedule(Section):
    """The values of one schedule, and a warm-up before it; each file of `digits/schedules` has one."""

    warmup: NonNegativeFloat
    """Epochs in which the rate rises from 0 along a line; 0.5 is half an epoch."""

    @abstractmethod
    def at(self, done: float, epochs: int) -> float:
        """What the solver's learning rate is multiplied with after `done` of `epochs` epochs."""

    def factor(self, step: int, steps: int, epochs: int) -> float:
        """Likewise in step `step` of `steps`, from 0; with the warm-up."""
        done = step * epochs / steps
        warm = min(1.0, (step + 1) * epochs / steps / self.warmup) if self.warmup else 1.0
        return warm * self.at(done, epochs)
