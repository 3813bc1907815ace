"""Whole numbers as files may give them: none that a 64-bit size or a product of two would not hold."""

from typing import Annotated

from pydantic import Field

LARGEST = 2**31 - 1
PositiveInt = Annotated[int, Field(gt=0, le=LARGEST)]
NonNegativeInt = Annotated[int, Field(ge=0, le=LARGEST)]
