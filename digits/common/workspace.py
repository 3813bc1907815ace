"""A stage that somebody's `dvc` starts takes the workspace for that `dvc`, as a pipeline does for itself."""

import contextlib
import os
import re
import threading
from pathlib import Path

from digits.common import locking
from digits.common.locking import BusyError, Holder

LOCK = Path(".dvc/tmp/pipeline.lock")


def rank() -> int:
    """The number of this process among those that `torchrun` started together, from 0; 0 without it."""
    return int(os.environ["RANK"]) if "TORCHELASTIC_RUN_ID" in os.environ else 0


def claim() -> None:
    """Take the workspace until the `dvc` that started this process ends; end with it, should it be killed.

    Of the processes that `torchrun` starts, the first takes it, for it alone writes; the others end with it.

    Raises:
        BusyError: a pipeline or another `dvc` is at work here. Waiting for it would be no use: this one's
            `dvc` holds paths that it may need.
    """
    if rank() or locking.HELD in os.environ or not LOCK.parents[1].is_dir():
        return
    dvc = _dvc()
    holder = dvc or Holder.process("a stage", os.getpid())
    try:
        lock = locking.take(LOCK, holder)
    except BusyError:
        if not dvc or locking.read(LOCK) != dvc:
            raise
    else:
        _kept.append(lock)
        if dvc:
            _kept.append(locking.hold_for(dvc.pid, lock))
    if dvc:
        threading.Thread(target=_end_with, args=[dvc.pid], daemon=True).start()


_kept: list[object] = []  # a file that nobody knows any more is closed


def _dvc() -> Holder | None:
    """The `dvc` among the processes above this one."""
    import psutil  # not for the stages of a pipeline

    with contextlib.suppress(psutil.Error):
        for process in psutil.Process().parents():
            arguments = dvc_arguments(process.cmdline())
            if arguments is not None:
                return Holder.process(" ".join(["dvc", *arguments]), process.pid, process.create_time())
    return None


def dvc_arguments(command: list[str]) -> list[str] | None:
    """What the command line of a process gives to `dvc`; None where it runs something else.

    It is DVC that runs if the program is `dvc`, or Python with the script or module `dvc`; the word alone, as
    in `tmux new -s dvc`, says nothing.
    """
    if not command:
        return None
    program, *rest = command
    if os.path.basename(program) == "dvc":
        return rest
    if not re.match(r"(python|pypy)[\d.]*(\.exe)?$", os.path.basename(program), re.IGNORECASE):
        return None
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "-m":
            return rest[1:] if rest[:1] == ["dvc"] else None
        if option == "-c":
            return None
        if option in ("-W", "-X", "--check-hash-based-pycs"):
            rest = rest[1:]
    return rest[1:] if rest and os.path.basename(rest[0]) == "dvc" else None


def _end_with(process: int) -> None:
    locking.wait_for_end(process)
    os._exit(1)
