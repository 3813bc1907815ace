"""A stage on this machine for a run on another: the flow that a work pool's worker starts.

Its workspace is a folder of its own in `PREFECT_DVC_HOME` (`~/.cache/prefect-dvc` if not given), where DVC's
cache stays for the next one. Git brings the files, DVC the inputs; what the stage made goes to DVC's remote.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from prefect_dvc import locking
from prefect_dvc.git import GitError, git
from prefect_dvc.lineage import inputs_of
from prefect_dvc.project import ProjectError
from prefect_dvc.tasks import failure
from prefect_dvc.transcript import Outcome
from prefect_dvc.workspace import Workspace

ALIVE = "prefect-dvc.alive"
"""The label of a flow run that changes as long as it works."""
BEAT = 5.0  # seconds between its changes
FORGOTTEN = 3600.0  # seconds after which a folder that nobody works in was left by a kill


@flow(name="stage", persist_result=False)
def stage(
    repository: str, ref: str, name: str, folder: str = ".", time_limit: float | None = None
) -> State[Any]:
    """Run one stage of a DVC project, and push what it made with DVC's run cache.

    Args:
        repository: where Git finds the project.
        ref: what to fetch from there: the files of the workspace that asks for this.
        name: the stage, as DVC calls it in `folder`, which is relative to the root of the repository.
        time_limit: seconds for its command.
    """
    log = get_run_logger().info
    try:
        with _alive(UUID(flow_run.id)), _fetched(repository, ref) as root:
            os.chdir(root / folder)
            workspace = Workspace(root / folder, tell=log)
            with workspace.lock(log):
                (found,) = workspace.project.stages([name], single_item=True)
                if inputs := inputs_of(workspace.project, found):
                    result = workspace.dvc(["pull", "--", *inputs], log, stage=f"{name}: its inputs")
                    if result.outcome is Outcome.FAILED:
                        return failure(result)
                result = workspace.run(found, log, time_limit=time_limit)
                pushed = result.outcome is not Outcome.FAILED and workspace.dvc(["push-runs", name], log)
                if not pushed or pushed.outcome is Outcome.FAILED:
                    return failure(pushed or result)
    except (GitError, ProjectError) as error:
        return Failed(message=f"error: {error}")
    return Completed(message=str(result))


@contextmanager
def _alive(run: UUID) -> Iterator[None]:
    """Show the server that this run is at work."""
    ended = threading.Event()

    def beat() -> None:
        with get_client(sync_client=True) as client:
            number = 0
            while not ended.wait(BEAT):
                number += 1
                with suppress(httpx.HTTPError):  # the next one may come through
                    client.update_flow_run_labels(run, {ALIVE: number})

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _fetched(repository: str, ref: str) -> Iterator[Path]:
    """A folder with these files, without history, and with the cache of all such folders."""
    home = Path(os.environ.get("PREFECT_DVC_HOME", "~/.cache/prefect-dvc")).expanduser()
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    _remove_left(work)
    with tempfile.TemporaryDirectory(dir=work, ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        git(root, "init", "--quiet")
        git(root, "fetch", "--quiet", "--depth", "1", repository, ref)
        git(root, "checkout", "--quiet", "FETCH_HEAD")
        for local in {path.parent / "config.local" for path in root.rglob(".dvc/config")}:
            local.write_text(f"[cache]\n    dir = {home / 'cache'}\n", encoding="utf-8")
        try:
            yield root
        finally:
            os.chdir(home)


def _remove_left(work: Path) -> None:
    for folder in work.iterdir():
        with suppress(locking.BusyError, FileNotFoundError):  # another is at work there, or has removed it
            if time.time() - folder.stat().st_mtime > FORGOTTEN:
                locking.take(folder).close()
                shutil.rmtree(folder, ignore_errors=True)
