"""The sections of params.yaml that belong to the exported model."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, field_validator

from digits.common.choices import names, one_of
from digits.common.numbers import NonNegativeInt, PositiveInt
from digits.common.section import TopSection

RUNTIMES = names("digits.runtimes")


class Export(TopSection):
    """The ONNX operator set."""

    key = "export"

    opset: Annotated[int, Field(ge=15, le=23)]


class Verify(TopSection):
    """What is compared, and how far from the float64 result a runtime may be."""

    key = "verify"

    runtimes: Annotated[list[Annotated[str, one_of(RUNTIMES)]], Field(min_length=1)]
    batch_sizes: Annotated[list[PositiveInt], Field(min_length=1)]
    optimizations: Annotated[list[Literal["disabled", "enabled"]], Field(min_length=1)]
    tolerance: PositiveFloat
    near_ties: NonNegativeInt
    proven: Annotated[float, Field(ge=0, le=1)]


class Robustness(TopSection):
    """How far the grey values of how many test images may change."""

    key = "robustness"

    images: Annotated[int, Field(ge=1, le=10_000)]
    radii: Annotated[list[Annotated[int, Field(ge=1, le=255)]], Field(min_length=1)]

    @field_validator("radii")
    @classmethod
    def _rise(cls, radii: list[int]) -> list[int]:
        if sorted(set(radii)) != radii:
            raise ValueError("the radii must rise")
        return radii


class Shrink(TopSection):
    """Which smaller models to try, and what accuracy they may cost."""

    key = "shrink"

    formats: Annotated[list[Literal["float16", "int8"]], Field(min_length=1)]
    calibration_images: Annotated[int, Field(ge=1, le=60_000)]
    max_accuracy_drop: Annotated[float, Field(ge=0, le=1)]
