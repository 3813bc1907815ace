"""dvc.lock: read by the YAML parser that is in C, and judged whether a kill of DVC has cut it.

DVC writes all of it anew after every stage, and reads it first with a parser that keeps comments and layout,
though nobody but DVC writes it. The other one saves a sixth of a second each time, and gives the same bytes.
One with a comment is left to DVC.
"""

import re
from typing import Any

from dvc.dvcfile import is_lock_file  # type: ignore[import-untyped]
from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.schema import COMPILED_LOCKFILE_SCHEMA  # type: ignore[import-untyped]
from dvc.utils.serialize import (  # type: ignore[import-untyped]
    dumps_yaml,
    parse_yaml,
    parse_yaml_for_update,
)
from voluptuous import Invalid

NEW = b"schema: '2.0'\nstages:\n"
"""How DVC begins a lock file."""
ENTRY = re.compile(rb"^(?=  [^ \n])", re.MULTILINE)  # a stage stands two columns in, all of its own deeper
INDENTATION = re.compile(rb"(?<=\n) +\Z")  # of a line that is not there any more


def parse_for_update(text: str, path: str) -> Any:
    """The content of a YAML file that will be written again; in place of DVC's `parse_yaml_for_update`."""
    made_by_dvc = is_lock_file(path) and "#" not in text
    return parse_yaml(text, path) if made_by_dvc else parse_yaml_for_update(text, path)


def is_valid(text: bytes) -> bool:
    """Whether DVC can read this dvc.lock."""
    try:
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(text.decode(), "dvc.lock") or {})
    except (DvcException, Invalid, UnicodeDecodeError):
        return False
    return True


def may_be_cut(text: bytes, before: bytes) -> bool:
    """Whether `text` can be the beginning of what one stage makes of a dvc.lock that was `before`.

    Most beginnings of a lock file are valid themselves. But a stage changes or appends one entry, its own,
    and leaves the others as they are: so the end is there where the last entry of before is, and no beginning
    passes for whole. What differs in more than one entry is no such beginning: it comes from Git, say.
    One that is whole is not known for it where its last entry is the new one.

    Args:
        before: empty where there was none.
    """
    if text == before and before:
        return False
    return any(_is_beginning(text, old) for old in {before or NEW, _as_dvc_writes(before) or NEW})


def _is_beginning(text: bytes, before: bytes) -> bool:
    complete_lines = INDENTATION.sub(b"", text)
    new, old = ENTRY.split(complete_lines), ENTRY.split(before)
    if len(new) > len(old) + 1:
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
    return own <= 1 and not at_its_end


def _as_dvc_writes(text: bytes) -> bytes:
    """This dvc.lock as DVC writes it when nothing changes; as it is where it cannot be read."""
    try:
        return str(dumps_yaml(parse_for_update(text.decode(), "dvc.lock") or {})).encode() if text else text
    except (DvcException, UnicodeDecodeError):
        return text
