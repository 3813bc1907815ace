"""Values and texts from outside, as messages have room for them."""

import reprlib
from collections.abc import Mapping
from itertools import islice
from typing import Any

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
