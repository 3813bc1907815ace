"""The section of params.yaml that belongs to the calibration."""

from typing import Annotated

from pydantic import Field

from digits.common.section import TopSection


class Calibrate(TopSection):
    """Which share of real digits may be refused, and what the sets of digits must cover."""

    key = "calibrate"

    refuse: Annotated[float, Field(ge=0, le=0.5)]
    coverage: Annotated[float, Field(ge=0.5, lt=1)]
