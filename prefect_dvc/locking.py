"""One at a time in a DVC repository: a lock that its holder's end releases, and that says who holds it.

It is an flock(2) on a file: it holds between containers that share the folder, and never outlives a process.
"""

import fcntl
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

PATH = ".dvc/tmp/prefect-dvc.lock"
Take = Callable[[Path, Callable[[str], None] | None], IO[str]]
"""`take(root, tell)`: be alone in the repository `root` until the file is closed in all processes that share
it. Waits while another is at work, and tells for whom; without `tell`, it raises BusyError instead."""


class BusyError(Exception):
    """Somebody else is at work."""


def take(root: Path, tell: Callable[[str], None] | None = None) -> IO[str]:
    """The `Take` of whoever has none of their own."""
    path = root / PATH
    path.parent.mkdir(exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    try:
        _lock(file, tell)
    except BaseException:
        file.close()
        raise
    file.truncate(0)
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    file.write(f"process {os.getpid()} on {socket.gethostname()}, since {since}")
    file.flush()
    return file


def _lock(file: IO[str], tell: Callable[[str], None] | None) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        message = f"{file.read() or 'another process'} is at work in this repository"
        if tell is None:
            raise BusyError(f"{message}; try again when it has ended") from None
        tell(f"{message}; waiting for its end")
        fcntl.flock(file, fcntl.LOCK_EX)
