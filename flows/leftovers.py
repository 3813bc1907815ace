"""What a run that was killed leaves of DVC's own files, mended before the next one begins.

To be used by whoever holds the lock of the workspace.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.lock import make_lock  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]

from flows import lock_file

LOCK_FILE = "dvc.lock"
KEPT = ".dvc/tmp/dvc.lock.kept"  # there while a stage is at work; empty where there was no dvc.lock
Log = Callable[[str], None]


def keep_lock_file(root: Path) -> None:
    """Keep a copy of dvc.lock, which DVC does not write in one step, until `forget_lock_file`."""
    part = root / f"{KEPT}.part"
    if (root / LOCK_FILE).exists():
        shutil.copy(root / LOCK_FILE, part)
    else:
        part.write_bytes(b"")
    os.replace(part, root / KEPT)


def forget_lock_file(root: Path) -> None:
    (root / KEPT).unlink(missing_ok=True)


def mend(root: Path, log: Log) -> None:
    """Bring back a dvc.lock that was being written; remove the locks on paths that dead processes hold."""
    if (root / KEPT).exists():
        _mend_lock_file(root / LOCK_FILE, root / KEPT, log)
    locks = root / ".dvc/tmp/rwlock"
    if locks.exists() and _holders(locks) != []:
        _mend_locks(root, locks, log)


def _mend_lock_file(written: Path, kept: Path, log: Log) -> None:
    text, before = written.read_bytes() if written.exists() else None, kept.read_bytes()
    if text is not None and lock_file.may_be_cut(text, before):
        # At worst it was whole: then DVC's run cache still has the stage, and restores it.
        log("dvc.lock was being written when a run was killed; taking the one before that")
        if before:
            os.replace(kept, written)
            return
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
