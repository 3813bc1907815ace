"""The section of params.yaml that belongs to the evaluation."""

from typing import Annotated, Self

from pydantic import Field

from digits.common.about import read_for_set
from digits.common.numbers import PositiveInt
from digits.common.parameters_file import Path_
from digits.common.section import TopSection


class Evaluate(TopSection):
    """How to evaluate, and the accuracy below which the model is refused."""

    key = "evaluate"

    batch_size: PositiveInt
    min_accuracy: Annotated[float, Field(ge=0, le=1)]
    mistakes: PositiveInt

    @classmethod
    def read(cls, path: Path_ = "params.yaml") -> Self:
        """This section, with the chosen set's own `min_accuracy` in the place of this one's, if it has one.

        Raises:
            ParameterError: the file or the section is missing or broken, or a value is not allowed.
        """
        return read_for_set(cls, "min_accuracy", path)
