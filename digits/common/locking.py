"""One at a time in a folder: a lock that its holder's end releases, and that says who holds it.

It is an flock(2) on a file: it holds between containers that share the folder, and never outlives a process.
"""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from digits.common.errors import DigitsError

HELD = "DIGITS_WORKSPACE_HELD"
"""Set in the environment of those who work on behalf of a holder."""


class BusyError(DigitsError):
    """Somebody else is at work."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    name: str
    pid: int
    host: str
    since: str

    @classmethod
    def process(cls, name: str, pid: int, started: float | None = None) -> "Holder":
        """A process of this host, at work from `started` on, in seconds since 1970 (now, if not given)."""
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(started))
        return cls(name, pid, socket.gethostname(), since)

    def __str__(self) -> str:
        return f"{self.name} of process {self.pid} on {self.host}, since {self.since}"


def take(path: Path, holder: Holder, wait: Callable[[str], None] | None = None) -> IO[str]:
    """Lock this file until the returned one is closed in all processes that share it.

    Args:
        wait: told who holds the lock, if it is held; then the call waits for its end.

    Raises:
        BusyError: it is held, and `wait` is not given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = f"{read(path) or 'another process'} is at work in this workspace"
        if wait is None:
            file.close()
            raise BusyError(f"{message}; try again when it has ended") from None
        wait(f"{message}; waiting for its end")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except BaseException:
            file.close()
            raise
    file.truncate(0)
    file.write(json.dumps(asdict(holder)))
    file.flush()
    return file


def read(path: Path) -> Holder | None:
    """Who holds the lock or was the last to do so, as far as that is known."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def hold_for(process: int, lock: IO[str]) -> subprocess.Popen[bytes]:
    """Keep `lock` until `process` has ended, in another process, which is returned and outlives this one."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, str(process)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[lock.fileno()],
        start_new_session=True,
    )


def wait_for_end(process: int) -> None:
    """Return when this process, which need not be a child, has ended."""
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(process)
        except ProcessLookupError:
            return
        select.select([descriptor], [], [])
        os.close(descriptor)
        return
    try:
        while True:
            os.kill(process, 0)
            time.sleep(0.2)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wait_for_end(int(sys.argv[1]))
