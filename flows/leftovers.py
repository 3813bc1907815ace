"""What a run that was killed leaves of DVC's own files, mended before the next one begins.

To be used by whoever holds the lock of the workspace.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from dvc.dvcfile import Lockfile  # type: ignore[import-untyped]
from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.lock import make_lock  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]

LOCK_FILE = "dvc.lock"
KEPT = ".dvc/tmp/dvc.lock.kept"  # there while a stage is at work
Log = Callable[[str], None]


def keep_lock_file(root: Path) -> None:
    """Keep a copy of dvc.lock, which DVC does not write in one step, until `forget_lock_file`."""
    if (root / LOCK_FILE).exists():
        shutil.copy(root / LOCK_FILE, root / f"{KEPT}.part")
        os.replace(root / f"{KEPT}.part", root / KEPT)


def forget_lock_file(root: Path) -> None:
    (root / KEPT).unlink(missing_ok=True)


def mend(root: Path, log: Log) -> None:
    """Bring back a dvc.lock that was being written; remove the locks on paths that dead processes hold."""
    if (root / KEPT).exists():
        if not _is_whole(root):
            log("dvc.lock was being written when a run was killed; taking the one before that")
            os.replace(root / KEPT, root / LOCK_FILE)
        forget_lock_file(root)
    locks = root / ".dvc/tmp/rwlock"
    if locks.exists():
        with make_lock(f"{locks}.lock", tmp_dir=str(locks.parent)):
            _remove_dead(locks, log)


def _is_whole(root: Path) -> bool:
    try:
        with Repo(str(root)) as repo:
            Lockfile(repo, str(root / LOCK_FILE)).load()
    except DvcException:
        return False
    return True


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
    """Whether a process of this number was there when the lock was written: numbers come again."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(int(holder["pid"])).create_time() <= written)
    return False
