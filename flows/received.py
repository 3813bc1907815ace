"""Files of a release that may come from anybody: only plain ones are read, and none without a bound."""

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from prefect_dvc.project import ProjectError

LARGEST = 512 * 2**20
"""Bytes of a file that is only hashed; its blocks' hashes fit into a text."""
LARGEST_TEXT = 16 * 2**20
"""Bytes of a file that is parsed, which takes many times as much memory."""


class UnreadableError(ProjectError):
    """A file is none that is read; `str` is a line that begins with its name."""


@contextmanager
def opened(path: Path, most: int = LARGEST) -> Iterator[BufferedReader]:
    """A plain file of so many bytes at most, and no link, pipe or device.

    Raises:
        UnreadableError: it is something else, too large, or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # to open a pipe would wait
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise UnreadableError(f"{path.name} is not a file")
            if found.st_size > most:
                raise UnreadableError(
                    f"{path.name} has {found.st_size:,} bytes, and is not read: {most:,} at most"
                )
            with os.fdopen(handle, "rb", closefd=False) as file:
                yield file
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise UnreadableError(f"{path.name} is not a file") from error
        raise UnreadableError(f"{path.name} cannot be read: {error.strerror or error}") from error


def text(path: Path, most: int = LARGEST_TEXT) -> str:
    """The content of a file; what is not UTF-8 in it is replaced.

    Raises:
        UnreadableError: as of `opened`.
    """
    with opened(path, most) as file:
        return file.read(most).decode(errors="replace")


def content(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UnreadableError: it is none; or as of `opened`.
    """
    try:
        return json.loads(text(path))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{path.name} is no JSON: {error}") from error
