"""The section of params.yaml that belongs to the images from outside the test set."""

from typing import Annotated

from pydantic import Field

from digits.common.choices import one_of
from digits.common.numbers import NonNegativeInt, PositiveInt
from digits.common.section import TopSection
from digits.shift.changes import CHANGES
from digits.shift.strokes import FORMS

MEAN = "mean"
"""Over all changes, at all severities."""
COLLECTIONS = ("drawings", "other_writers", "printed", *FORMS)
"""Digits that do not come from the data set; `sources.collection` gives them by name."""


class Shift(TopSection):
    """How many test images are changed, and the accuracies below which the model is refused."""

    key = "shift"

    images: PositiveInt
    seed: NonNegativeInt
    min_accuracy: dict[
        Annotated[str, one_of((MEAN, *CHANGES, *COLLECTIONS))], Annotated[float, Field(ge=0, le=1)]
    ]
