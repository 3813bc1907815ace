"""One cycle: up, and down much further."""

import math
from typing import Annotated

from pydantic import Field

from digits.training.schedule import Schedule


class OneCycle(Schedule):
    """Half a cosine up from `start` to 1 over the part `rise` of the training, another one down to `end`.

    Smith and Topin, Super-Convergence (2018), as in `torch.optim.lr_scheduler.OneCycleLR` without its cycle
    of the momentum. The solver's learning rate is the highest.
    """

    start: Annotated[float, Field(ge=0, le=1)]
    end: Annotated[float, Field(ge=0, le=1)]
    rise: Annotated[float, Field(gt=0, lt=1)]

    def at(self, done: float, epochs: int) -> float:
        part = done / epochs
        if part < self.rise:
            return _between(self.start, 1, part / self.rise)
        return _between(1, self.end, (part - self.rise) / (1 - self.rise))


def _between(first: float, last: float, part: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * part)) / 2
