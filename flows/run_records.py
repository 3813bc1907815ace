"""Which runs of deployments are at work in a workspace: one that dies without a word is found by the next.

The server would go on showing it as running, and keep the turn of the next run, for five minutes or for ever.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

FOLDER = Path(".dvc/tmp/runs")
UNLOCKED = "."
"""How the name of a record begins that is not locked yet."""


@contextmanager
def recorded(root: Path, run: str | None) -> Iterator[None]:
    """Keep a record of this run, if given, locked as long as this process lives.

    Outside of a DVC workspace there is none, and nothing is made.
    """
    if run is None or not (root / ".dvc").is_dir():
        yield
        return
    path = root / FOLDER / run
    path.parent.mkdir(parents=True, exist_ok=True)
    unlocked = path.with_name(f"{UNLOCKED}{run}")
    with unlocked.open("w") as file:
        # Locked before it has its name: one without a lock is that of a dead run.
        fcntl.flock(file, fcntl.LOCK_EX)
        unlocked.replace(path)
        yield
        path.unlink(missing_ok=True)


def settle(root: Path, log: Callable[[str], None]) -> None:
    """Tell the server of the runs that died here.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    for path in sorted((root / FOLDER).glob("[!.]*")):
        if not path.is_file():
            continue  # to open a pipe would wait for whoever writes to it
        with suppress(FileNotFoundError), path.open() as file:  # its run may have just ended, and removed it
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            # What was opened may have been removed since, or have made way for that of a newer try.
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                declare_dead(path.name, "Its process died without a word.", log)
                path.unlink()


def declare_dead(run_id: str, why: str, log: Callable[[str], None]) -> None:
    """Tell the server that a run is no more, unless it knows how the run ended, or that it will begin again.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(UUID(run_id))
        except (ObjectNotFound, ValueError):  # of another server
            return
        if run.state and (run.state.is_final() or run.state.is_scheduled()):
            return
        asked_for = run.state and run.state.is_cancelling()
        state: State[None] = Cancelled(message=why) if asked_for else Crashed(message=why)
        client.set_flow_run_state(run.id, state, force=True)
        log(f"run {run.name} is {state.name}: {why}")
