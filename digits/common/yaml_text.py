"""YAML from outside: whatever is wrong with it is one error, and its aliases make no bomb."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from digits.common.errors import DigitsError
from digits.common.text import LONGEST_MESSAGE, cut

MOST = 100_000
"""Values that a text may stand for, those of its aliases counted wherever they stand."""


DEEPEST = 100


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
        _check(text)
        return yaml(typ).load(text)
    except YamlError:
        raise
    except Exception as error:  # of a scalar whatever its type says, a ValueError for the date 2001-13-41
        raise YamlError(cut(" ".join(str(error).split()) or type(error).__name__, LONGEST_MESSAGE)) from None


def read(path: Path, typ: str = "safe") -> Any:
    """Likewise, of a file.

    Raises:
        YamlError: naming the file: it is not there, cannot be read, or its text is not valid.
    """
    if path.exists() and not path.is_file():
        raise YamlError(f"{path} is no file")  # to open a pipe would wait for whoever writes to it
    try:
        return parse(path.read_text(encoding="utf-8"), typ)
    except OSError as error:
        raise YamlError(f"{path}: {error.strerror}") from None
    except (YamlError, UnicodeDecodeError) as error:
        raise YamlError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


def _check(text: str) -> None:
    """Refuse what is too deep or stands for too much, as told by events.

    They need no stack, of which the parser in C would run out, and construct nothing: even what is said of a
    value that cannot be constructed would repeat all that it stands for.
    """
    sizes: dict[str | None, int] = {}  # by anchor: of what its aliases stand for
    opened: list[tuple[str | None, int]] = []  # anchors of collections, and how many values came before
    size, repeats = 0, False
    for event in yaml("safe").parse(text):
        if isinstance(event, CollectionStartEvent):
            opened.append((event.anchor, size))
            if len(opened) > DEEPEST:
                raise YamlError(f"it is nested more than {DEEPEST} levels deep")
            sizes[event.anchor] = MOST  # within itself, it has no end
            size += 1
        elif isinstance(event, CollectionEndEvent):
            anchor, before = opened.pop()
            sizes[anchor] = size - before
        elif isinstance(event, ScalarEvent):
            size += 1
        elif isinstance(event, AliasEvent):
            repeats = True
            size += sizes.get(event.anchor, 1)
        if size > MOST:
            why = ", as its aliases repeat each other" if repeats else ""
            raise YamlError(f"it stands for more than {MOST:,} values{why}")
