"""Which runs of deployments are at work in a workspace: one that dies without a word is found by the next.

The server would go on showing it as running, and keep the turn of the next run, for five minutes or for ever.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

FOLDER = Path(".dvc/tmp/runs")


@contextmanager
def recorded(root: Path, run: str | None) -> Iterator[None]:
    """Keep a record of this run, if given, locked as long as this process lives."""
    if run is None:
        yield
        return
    path = root / FOLDER / run
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
        path.unlink(missing_ok=True)


def settle(root: Path, log: Callable[[str], None]) -> None:
    """Tell the server of the runs that died here.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    for path in sorted((root / FOLDER).glob("*")):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            declare_dead(path.name, "Its process died without a word.", log)
            path.unlink(missing_ok=True)


def declare_dead(run_id: str, why: str, log: Callable[[str], None]) -> None:
    """Tell the server that a run is no more, unless it knows how the run ended, or that it will begin again.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(run_id)  # type: ignore[arg-type]
        except (ObjectNotFound, ValueError):  # of another server
            return
        if run.state and (run.state.is_final() or run.state.is_scheduled()):
            return
        asked_for = run.state and run.state.is_cancelling()
        state: State[None] = Cancelled(message=why) if asked_for else Crashed(message=why)
        client.set_flow_run_state(run.id, state, force=True)
        log(f"run {run.name} is {state.name}: {why}")
