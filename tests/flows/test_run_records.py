"""What the server is told of a run that is no more."""

import fcntl
import os
import uuid
from pathlib import Path
from typing import TextIO

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import State
from prefect.states import Cancelling, Completed, Paused, Running, Scheduled

from flows import run_records
from flows.run_records import FOLDER, declare_dead, recorded, settle


@flow
def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("state", "then"),
    [
        (Running(), "Crashed"),
        (Paused(timeout_seconds=86_400), "Crashed"),  # later, the server itself ends it
        (Cancelling(), "Cancelled"),
        (Completed(), "Completed"),
        (Scheduled(name="AwaitingRetry"), "AwaitingRetry"),
    ],
    ids=lambda value: value.name if isinstance(value, State) else value,
)
def test_only_what_the_server_does_not_know_is_told(prefect_server: str, state: State, then: str) -> None:
    said: list[str] = []
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(nothing)
        client.set_flow_run_state(run.id, state, force=True)
        declare_dead(str(run.id), "It was killed.", said.append)
        found = client.read_flow_run(run.id)
        assert found.state
        assert found.state.name == then
        told = then != state.name
        assert (found.state.message == "It was killed.") is told
        assert said == ([f"run {run.name} is {then}: It was killed."] if told else [])


@pytest.mark.parametrize("unknown", [str(uuid.UUID(int=0)), "no ID"])
def test_a_run_of_another_server_is_left_alone(prefect_server: str, unknown: str) -> None:
    said: list[str] = []
    declare_dead(unknown, "It was killed.", said.append)
    assert said == []


def records(root: Path) -> list[str]:
    return sorted(path.name for path in (root / FOLDER).iterdir())


def test_what_is_no_record_holds_nobody_up(prefect_server: str, tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    (folder / "folder").mkdir(parents=True)
    os.mkfifo(folder / "pipe")
    (folder / "gone").symlink_to("nowhere")
    (folder / "a name\n\x1b[31m").touch()
    settle(tmp_path, print)
    assert records(tmp_path) == ["folder", "gone", "pipe"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".dvc").mkdir()
    return tmp_path


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that are declared dead."""
    runs: list[str] = []
    monkeypatch.setattr(run_records, "declare_dead", lambda run, *_: runs.append(run))
    return runs


def test_a_run_at_work_is_alive_and_one_that_left_its_record_is_not(root: Path, declared: list[str]) -> None:
    (root / FOLDER).mkdir(parents=True)
    (root / FOLDER / "dead").touch()
    with recorded(root, "alive"):
        settle(root, print)
        assert records(root) == ["alive"]
    assert declared == ["dead"]
    assert records(root) == []


def test_a_run_is_never_seen_without_its_lock(
    root: Path, declared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock

    def settled_first(file: TextIO, operation: int) -> None:
        if operation == fcntl.LOCK_EX:
            settle(root, print)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", settled_first)
    with recorded(root, "new"):
        settle(root, print)
    assert declared == []


@pytest.mark.parametrize("moment", ["before it is opened", "before it is locked"])
def test_a_run_that_ends_meanwhile_is_not_declared_dead(
    root: Path, declared: list[str], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = root / FOLDER / "ending"
    path.parent.mkdir(parents=True)
    path.touch()
    if moment == "before it is opened":
        found = sorted((root / FOLDER).glob("*"))
        monkeypatch.setattr(Path, "glob", lambda *_: found)
        path.unlink()
    else:
        lock = fcntl.flock

        def ended_first(file: TextIO, operation: int) -> None:
            path.unlink()
            lock(file, operation)

        monkeypatch.setattr(fcntl, "flock", ended_first)
    settle(root, print)
    assert declared == []


def test_outside_of_a_workspace_nothing_is_made(tmp_path: Path) -> None:
    with recorded(tmp_path, "a run"):
        assert list(tmp_path.iterdir()) == []
