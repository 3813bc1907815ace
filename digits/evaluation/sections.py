"""The section of params.yaml that belongs to the evaluation."""

from typing import Annotated

from pydantic import Field, PositiveInt

from digits.common.section import TopSection


class Evaluate(TopSection):
    """How to evaluate, and the accuracy below which the model is refused."""

    key = "evaluate"

    batch_size: PositiveInt
    min_accuracy: Annotated[float, Field(ge=0, le=1)]
    mistakes: PositiveInt
