"""The lock files, for what looks at all that is locked."""

import re
from pathlib import Path

ENTRY = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)((?:.*\\\n)*.*)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
Locked = dict[str, dict[str, list[str]]]
"""SHA-256 of the files, by name and version: for every system and Python, so a name may have several."""


class LockError(Exception):
    """Why a file says nothing of what is locked; `str` is one line."""


def read(file: Path) -> Locked:
    """What a lock file has.

    Raises:
        LockError: it cannot be read, or has nothing.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise LockError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LockError(f"{file} is no lock file: byte {error.start:,} is not UTF-8") from error
    found: Locked = {}
    for name, version, rest in ENTRY.findall(text):
        found.setdefault(name, {})[version] = HASH.findall(rest)
    if not found:
        raise LockError(f"{file} is no lock file: no line has NAME==VERSION")
    return found
