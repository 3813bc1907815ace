"""What pydantic finds wrong in a YAML file, in words for its author."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from digits.common.choices import SideBySide
from digits.common.text import LONGEST_MESSAGE, cut, shown

MOST = 20
"""Mistakes that are told."""


def lines(error: ValidationError, schema: type[BaseModel], section: str = "") -> Iterator[str]:
    """One line for each mistake: the key, the value, and what is allowed.

    `schema` is what was validated, and `section` where it stands in the file, if not at its top.
    """
    yield from first(_lines(error, schema, section), error.error_count())


def first(mistakes: Iterable[str], count: int) -> Iterator[str]:
    """The first of so many mistakes, and how many more there are."""
    yield from islice(mistakes, MOST)
    if count > MOST:
        yield f"and {count - MOST:,} more mistakes"


def _lines(error: ValidationError, schema: type[BaseModel], section: str) -> Iterator[str]:
    for mistake in error.errors():
        key = cut(".".join(filter(None, (section, *map(str, mistake["loc"])))))
        value, context = mistake["input"], mistake.get("ctx", {})
        match mistake["type"]:
            case "missing":
                yield f"{key} is missing"
            case "extra_forbidden":
                known = ", ".join(_known_keys(schema, mistake["loc"][:-1]))
                allowed = f"; allowed here: {known}" if known else ""
                yield f"{key} is {shown(value)}, but there is no such key{allowed}"
            case "value_error" if not mistake["loc"]:
                yield ": ".join(filter(None, (section, cut(str(context["error"]), LONGEST_MESSAGE))))
            case "value_error":
                yield f"{key} is {shown(value)}; {cut(str(context['error']), LONGEST_MESSAGE)}"
            case _:
                allowed = mistake["msg"].removeprefix("Input should be ").removeprefix("a valid ")
                allowed = allowed.replace("dictionary or instance of", "the keys of")
                yield f"{key} is {shown(value)}; allowed: {allowed}"


def _known_keys(schema: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """None where nothing is known of the place."""
    place: Any = schema
    for name in location:
        if isinstance(name, int):  # an item of a list
            place = next(iter(get_args(place)), None)
        elif isinstance(place, Mapping):
            place = place.get(name)
        else:
            field = getattr(place, "model_fields", {}).get(name)
            choices = [m.choices for m in getattr(field, "metadata", ()) if isinstance(m, SideBySide)]
            place = choices[0] if choices else getattr(field, "annotation", None)
    return sorted(place if isinstance(place, Mapping) else getattr(place, "model_fields", {}))
