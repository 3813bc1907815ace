"""The section of params.yaml that belongs to the calibration."""

from typing import Annotated, Self

from pydantic import Field

from digits.common.about import read_for_set
from digits.common.parameters_file import Path_
from digits.common.section import TopSection


class Calibrate(TopSection):
    """Which share of familiar images may be refused, and what the sets of classes must cover."""

    key = "calibrate"

    refuse: Annotated[float, Field(ge=0, le=0.5)]
    coverage: Annotated[float, Field(ge=0.5, lt=1)]

    @classmethod
    def read(cls, path: Path_ = "params.yaml") -> Self:
        """This section, with the chosen set's own `coverage` in the place of this one's, if it has one.

        Raises:
            ParameterError: the file or the section is missing or broken, or a value is not allowed.
        """
        return read_for_set(cls, "coverage", path)
