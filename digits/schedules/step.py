"""Decay in steps."""

from typing import Annotated

from pydantic import Field

from digits.common.numbers import PositiveInt
from digits.training.schedule import Schedule


class Step(Schedule):
    """The rate is multiplied by `gamma` every `step_size` epochs, as in `torch.optim.lr_scheduler.StepLR`."""

    step_size: PositiveInt
    gamma: Annotated[float, Field(gt=0, le=1)]

    def at(self, done: float, epochs: int) -> float:
        return float(self.gamma ** (int(done) // self.step_size))
