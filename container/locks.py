"""The lock files, for what looks at all that is locked."""

import re
from pathlib import Path

ENTRY = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)((?:.*\\\n)*.*)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
Locked = dict[str, dict[str, list[str]]]
"""SHA-256 of the files, by name and version: for every system and Python, so a name may have several."""


def read(file: Path) -> Locked:
    """What a lock file has."""
    found: Locked = {}
    for name, version, rest in ENTRY.findall(file.read_text(encoding="utf-8")):
        found.setdefault(name, {})[version] = HASH.findall(rest)
    return found
