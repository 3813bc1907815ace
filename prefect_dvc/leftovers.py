"""What a run that was killed leaves of DVC's own files, mended before the next one begins.

To be used by whoever holds the lock of the workspace.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import psutil
from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.lock import make_lock  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]

from prefect_dvc import lock_file
from prefect_dvc.transcript import Log

KEPT = ".dvc/tmp/kept"
"""Where copies of lock files are while stages are at work: a line with the number of these stages, then the
content, which is empty where there was none."""
WhileNobodyWrites = Callable[[Callable[[], None]], None]
"""Calls a function when DVC writes nothing."""


class LockFiles:
    """Keeps copies of lock files while stages are at work, as DVC does not write them in one step."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._at_work: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def kept(self, path: str, while_nobody_writes: WhileNobodyWrites) -> Iterator[None]:
        """Keep a copy while a stage is at work that will write into `path`, relative to the repository.

        Args:
            while_nobody_writes: asked where several stages are at work at once.
        """
        with self._lock:
            self._at_work[path] += 1
            if self._at_work[path] > 1:
                while_nobody_writes(lambda: self._keep(path))
            else:
                self._keep(path)
        yield  # after a sudden end the copy stays, for `mend`
        with self._lock:
            self._at_work[path] -= 1
            if not self._at_work[path]:
                _kept(self._root, path).unlink(missing_ok=True)

    def mend(self, path: str, while_nobody_writes: WhileNobodyWrites, wrote: bool, log: Log) -> None:
        """Bring back the lock file `path` of a stage at work whose DVC was killed.

        Args:
            wrote: whether that DVC had said that it writes. If not, a new last entry is another stage's.
        """
        written, kept = self._root / path, _kept(self._root, path)

        def cut() -> bool:
            return wrote or (written.exists() and not lock_file.is_valid(written.read_bytes()))

        def mend() -> None:
            if cut():
                _mend_lock_file(written, kept, log)
                if not kept.exists():
                    self._keep(path)

        if cut():
            with self._lock:
                while_nobody_writes(mend)

    def _keep(self, path: str) -> None:
        kept, written = _kept(self._root, path), self._root / path
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part")
        number = b"%d\n" % self._at_work[path]
        part.write_bytes(number + (written.read_bytes() if written.exists() else b""))
        os.replace(part, kept)


def mend(root: Path, log: Log) -> None:
    """Bring back lock files that were being written; remove the locks on paths that dead processes hold."""
    for kept in sorted((root / KEPT).glob("*.lock")):
        _mend_lock_file(root / unquote(kept.name), kept, log)
    locks = root / ".dvc/tmp/rwlock"
    if locks.exists() and _holders(locks) != []:
        _mend_locks(root, locks, log)


def _kept(root: Path, path: str) -> Path:
    return root / KEPT / quote(path, safe="")


def _mend_lock_file(written: Path, kept: Path, log: Log) -> None:
    text = written.read_bytes() if written.exists() else None
    stages, _, before = kept.read_bytes().partition(b"\n")
    if text is not None and lock_file.may_be_cut(text, before, int(stages)):
        # At worst it was whole: then DVC's run cache still has the stages, and restores them.
        log(f"{unquote(kept.name)} was being written when DVC was killed; taking the one before that")
        if before:
            part = kept.with_suffix(".part")
            part.write_bytes(before)
            os.replace(part, written)
        else:
            written.unlink()
    elif text is not None and not lock_file.is_valid(text):
        return  # somebody else's work, such as a merge; the copy stays until it is done
    kept.unlink()


def _holders(locks: Path) -> list[dict[str, Any]] | None:
    """All who hold a path, by DVC's list; None where it cannot be read."""
    try:
        held = json.loads(locks.read_text())
        return [
            *held.get("write", {}).values(),
            *(one for some in held.get("read", {}).values() for one in some),
        ]
    except (ValueError, TypeError, AttributeError):
        return None


def _mend_locks(root: Path, locks: Path, log: Log) -> None:
    """Remove the dead from DVC's list of locked paths.

    The list has process numbers and command lines, which say nothing of processes in other containers. But a
    `dvc` that is at work anywhere on this folder holds DVC's own lock on the repository, or runs a stage, for
    which our lock is held. Who has both, as this function does, needs to fear only stages that take no lock,
    of a `dvc` of this container: its number is judged together with its command line and its age. A `dvc` of
    another container that runs such a stage is not seen, neither here nor by DVC.
    """
    try:
        with Repo(str(root)) as repo, repo.lock, make_lock(f"{locks}.lock", tmp_dir=str(locks.parent)):
            _remove_dead(locks, log)
    except DvcException:  # another `dvc` is at work, or none can be; the next command tells
        return


def _remove_dead(locks: Path, log: Log) -> None:
    written = locks.stat().st_mtime
    try:
        held: dict[str, dict[str, Any]] = json.loads(locks.read_text())
        readers = {
            path: [holder for holder in holders if _lives(holder, written)]
            for path, holders in held.get("read", {}).items()
        }
        writers = {path: holder for path, holder in held.get("write", {}).items() if _lives(holder, written)}
    except (ValueError, KeyError, TypeError, AttributeError):
        log("removing DVC's list of locked paths, which was being written when a process was killed")
        locks.unlink()
        return
    if writers != held.get("write", {}) or readers != held.get("read", {}):
        log("removing DVC's locks of processes that are dead")
        readers = {path: holders for path, holders in readers.items() if holders}
        locks.write_text(json.dumps({"write": writers, "read": readers}))


def _lives(holder: Mapping[str, Any], written: float) -> bool:
    """Whether the very process that wrote this lives here: numbers come again, in other containers, too."""
    number, arguments = int(holder["pid"]), str(holder["cmd"]).partition(" ")[2]
    if number == os.getpid():
        return False  # this one holds no path yet
    try:
        process = psutil.Process(number)
        # The first word is the path of a script, which may have been started as a module.
        return process.create_time() <= written and " ".join(process.cmdline()).endswith(arguments)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
