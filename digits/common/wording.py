"""What pydantic finds wrong in a YAML file, in words for its author."""

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from digits.common.choices import SideBySide

MOST = 20
"""Mistakes that are told."""
LONGEST = 300
"""Characters of a value, and of a word about it."""
LONGEST_MESSAGE = 1000
"""Characters of what is said of a text, which may repeat parts of it."""


class _Short(reprlib.Repr):
    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """In the order of the file, not sorted."""
        if x and level <= 0:
            return "{...}"
        parts = [f"{self.repr1(key, level - 1)}: {self.repr1(x[key], level - 1)}" for key in islice(x, 20)]
        return f"{{{', '.join([*parts, *(['...'] if len(x) > 20 else [])])}}}"


_short = _Short()
_short.maxlevel, _short.maxlist, _short.maxtuple, _short.maxset = 4, 20, 20, 20
_short.maxstring = _short.maxother = _short.maxlong = LONGEST


def shown(value: object) -> str:
    """`value` as in Python, cut where it is long."""
    return cut(_short.repr(dict(value) if isinstance(value, Mapping) else value))


def cut(text: str, longest: int = LONGEST) -> str:
    """So many characters of a text from outside, which may have any number, on one line.

    What is not to be seen is written as in Python, such as ends of lines, or what moves a terminal's cursor.
    """
    short = text if len(text) <= longest else f"{text[:longest]}…"
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in short)


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
