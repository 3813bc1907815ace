"""The solver's learning rate throughout."""

from digits.training.schedule import Schedule


class Constant(Schedule):
    """The rate does not change."""

    def at(self, done: float, epochs: int) -> float:
        return 1.0
