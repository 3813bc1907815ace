"""YAML from outside: whatever is wrong with it is one error, and its aliases make no bomb."""

from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from digits.common.errors import DigitsError
from digits.common.wording import cut

MOST = 100_000
"""Values that a text may stand for, those of its aliases counted wherever they stand."""


DEEPEST = 100
LONGEST = 1000
"""Characters of what the parser says, which repeats parts of the text."""


class YamlError(DigitsError, ValueError):
    """A text is not valid YAML; `str` is one line."""


def yaml(typ: str) -> YAML:
    """The parser that DVC uses: YAML 1.2, where 1e-06 is a number and `off` is a word."""
    made = YAML(typ=typ)
    made.preserve_quotes = True
    made.width = 4096
    return made


def parse(text: str, typ: str = "safe") -> Any:
    """The content of a YAML text; `rt` keeps comments and layout, which takes five times as long.

    Raises:
        YamlError: it is not valid, or stands for more than `MOST` values.
    """
    try:
        if _is_deeper(text, DEEPEST):
            raise YamlError(f"it is nested more than {DEEPEST} levels deep")
        content = yaml(typ).load(text)
        size = _size(content, {})
    except YamlError:
        raise
    except Exception as error:  # of a scalar whatever its type says, a ValueError for the date 2001-13-41
        raise YamlError(cut(" ".join(str(error).split()) or type(error).__name__, LONGEST)) from None
    if size > MOST:
        raise YamlError(f"it stands for more than {MOST:,} values, as its aliases repeat each other")
    return content


def _is_deeper(text: str, levels: int) -> bool:
    """As told by events, which need no stack: deep ones would end the process, for the parser is in C."""
    depth = 0
    for event in yaml("safe").parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > levels:
            return True
    return False


def _size(value: Any, known: dict[int, int]) -> int:
    """How many values there are, each alias counted as what it stands for; one within itself has no end."""
    if not isinstance(value, Mapping | list | tuple | set):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST + 1  # until it is counted
        below = [*value, *value.values()] if isinstance(value, Mapping) else value
        known[id(value)] = min(MOST + 1, 1 + sum(_size(one, known) for one in below))
    return known[id(value)]
