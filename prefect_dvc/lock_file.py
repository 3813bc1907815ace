"""dvc.lock, judged whether a kill of DVC has cut it: DVC writes all of it anew after every stage."""

import re

from dvc.schema import COMPILED_LOCKFILE_SCHEMA  # type: ignore[import-untyped]
from dvc.utils.serialize import (  # type: ignore[import-untyped]
    dumps_yaml,
    parse_yaml,
    parse_yaml_for_update,
)

NEW = b"schema: '2.0'\nstages:\n"
"""How DVC begins a lock file."""
ENTRY = re.compile(rb"^(?=  [^ \n])", re.MULTILINE)  # a stage stands two columns in, all of its own deeper
INDENTATION = re.compile(rb"(?<=\n) +\Z")  # of a line that is not there any more


def is_valid(text: bytes) -> bool:
    """Whether DVC can read this dvc.lock."""
    try:
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(text.decode(), "dvc.lock") or {})
    except Exception:  # of a value whatever its tag says, a ValueError for `!!int d5`
        return False
    return True


def may_be_cut(text: bytes, before: bytes, stages: int = 1) -> bool:
    """Whether `text` can be the beginning of what so many stages make of a dvc.lock that was `before`.

    Most beginnings of a lock file are valid themselves. But a stage changes or appends one entry, its own,
    and leaves the others as they are: so the end is there where the last entry of before is, and no beginning
    passes for whole. What differs in more entries than stages is no such beginning: it comes from Git, say.
    One that is whole is not known for it where its last entry is a new one.

    Args:
        before: empty where there was none.
        stages: that were at work at once.
    """
    if text == before and before:
        return False
    # In this order: the second reads and writes YAML.
    return _is_beginning(text, before or NEW, stages) or _is_beginning(
        text, _as_dvc_writes(before) or NEW, stages
    )


def _is_beginning(text: bytes, before: bytes, stages: int) -> bool:
    complete_lines = INDENTATION.sub(b"", text)
    new, old = ENTRY.split(complete_lines), ENTRY.split(before)
    if len(new) > len(old) + stages:
        return False
    own = 0
    for number, entry in enumerate(new):
        earlier = old[number] if number < len(old) else b""
        at_end = number == len(new) - 1
        if entry == earlier or (at_end and earlier.startswith(entry)):
            continue
        if number == 0:  # the lines before the first stage
            return False
        if number < len(old) and entry.partition(b"\n")[0] != earlier.partition(b"\n")[0]:
            return False
        own += 1
    at_its_end = len(new) == len(old) > 1 and new[-1] == old[-1] and complete_lines == text
    return own <= stages and not at_its_end


def _as_dvc_writes(text: bytes) -> bytes:
    """This dvc.lock as DVC writes it when nothing changes; as it is where it cannot be read."""
    try:
        return (
            str(dumps_yaml(parse_yaml_for_update(text.decode(), "dvc.lock") or {})).encode() if text else text
        )
    except Exception:  # as above
        return text
