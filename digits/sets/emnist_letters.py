"""The 26 letters of EMNIST, each class of upper and lower case together."""

from string import ascii_lowercase
from typing import Annotated

from pydantic import Field

from digits.data.emnist import Emnist


class EmnistLetters(Emnist):
    """The split `letters`."""

    min_accuracy: Annotated[float, Field(ge=0, le=1, description="instead of evaluate.min_accuracy")]

    title = "EMNIST letters"
    thing = "a letter"
    classes = tuple(ascii_lowercase)
    split = "letters"
    first = 1
