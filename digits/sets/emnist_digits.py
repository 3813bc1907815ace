"""The 280,000 handwritten digits of EMNIST."""

from typing import Annotated

from pydantic import Field

from digits.common.about import DIGITS
from digits.data.emnist import Emnist


class EmnistDigits(Emnist):
    """The split `digits`."""

    min_accuracy: Annotated[float, Field(ge=0, le=1, description="instead of evaluate.min_accuracy")]

    title = "EMNIST digits"
    thing = "a digit"
    classes = tuple(DIGITS)
    split = "digits"
