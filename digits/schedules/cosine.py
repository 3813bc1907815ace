"""Decay along a cosine."""

import math
from typing import Annotated

from pydantic import Field

from digits.training.schedule import Schedule


class Cosine(Schedule):
    """Half a cosine from 1 to `floor` over the whole training.

    Loshchilov and Hutter, SGDR (ICLR 2017), as in `torch.optim.lr_scheduler.CosineAnnealingLR`, by steps.
    """

    floor: Annotated[float, Field(ge=0, le=1)]

    def at(self, done: float, epochs: int) -> float:
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done / epochs)) / 2
