"""The last good outputs, after a stage that failed: `python -m flows.restore`.

DVC removes the outputs of a stage before it runs. `dvc checkout` brings back those that it manages; this one
brings back those that Git tracks, too, such as metrics, of which DVC's run cache holds copies.
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple

from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]

from digits.common import locking
from digits.common.stage import BRING_BACK
from flows.workspace import LOCK, Workspace, WorkspaceError


class Restored(NamedTuple):
    """The outputs that are put back, and those that are in no cache here."""

    paths: list[str]
    missing: list[str]


def restore(root: Path) -> Restored:
    """Put back every output that differs from dvc.lock; for whoever holds the lock of the workspace.

    What is there in place of it, such as the half of a file, is overwritten.

    Raises:
        dvc.exceptions.DvcException: dvc.yaml or dvc.lock cannot be read, or another `dvc` is at work.
    """
    restored = Restored([], [])
    with Repo(str(root)) as repo, repo.lock:
        links = repo.cache.local.cache_types
        for out in (out for stage in repo.stage.load_file("dvc.yaml") for out in stage.outs):
            if not out.hash_info or not out.workspace_status():
                continue
            # A link into the cache is nothing to commit.
            repo.cache.local.cache_types = links if out.use_cache else ["copy"]
            out.use_cache = True
            if out.changed_cache():
                restored.missing.append(str(out))
            else:
                out.checkout(force=True)
                restored.paths.append(str(out))
    return restored


def advice(root: Path, stage: str) -> tuple[str, ...]:
    """How the outputs of a stage that failed come back; nothing where there are none to bring back."""
    try:
        with Repo(str(root)) as repo:
            outs = [out for found in repo.stage.collect(stage) for out in found.outs]
            if any(out.hash_info and out.workspace_status() for out in outs):
                return (BRING_BACK,)
    except (DvcException, OSError):  # then the stage has failed for this, and said so
        pass
    return ()


def main() -> int:
    """The command line; returns 0, 1 where an output is in no cache, 2 where nothing can be done."""
    root = Path.cwd()
    try:
        workspace = Workspace(root)
        workspace.stage_names()  # first, for nothing may be made where there is no workspace
        with locking.take(root / LOCK, locking.Holder.process("the restoration", os.getpid())):
            restored = restore(root)
    except (locking.BusyError, WorkspaceError, DvcException, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for path in restored.paths:
        print(f"{path} is as dvc.lock says again")
    for path in restored.missing:
        print(
            f"error: {path} is not in DVC's cache; `dvc fetch` may bring it, or `dvc repro` makes it anew",
            file=sys.stderr,
        )
    if not any(restored):
        print("every output is as dvc.lock says")
    return 1 if restored.missing else 0


if __name__ == "__main__":
    sys.exit(main())
