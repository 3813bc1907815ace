"""Stages on other machines: real workers, each with a folder and a cache of its own."""

import contextvars
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect import get_client

from prefect_dvc import pools, repro
from prefect_dvc.artifacts import read
from prefect_dvc.elsewhere import ALIVE
from prefect_dvc.git import without_password

PIPELINE = """
stages:
  prepare:
    cmd: seq 9 > numbers
    deps: [size]
    outs: [numbers]
  train:
    cmd: echo $WHERE >> {ran}; echo training; until test -e {go}; do sleep 0.1; done; sort -r numbers > model
    deps: [numbers]
    outs: [model]
    meta: {{prefect: {{pool: gpu}}}}
  count:
    cmd: wc -l < model > metrics.json
    deps: [model]
    metrics: [metrics.json: {{cache: false}}]
"""


class Machines:
    """A project whose stage `train` is for the pool `gpu`, and who works for that."""

    def __init__(self, folder: Path, project: Any, settings: dict[str, str]) -> None:
        self.folder, self.project, self._settings = folder, project, settings
        self.ran, self.go = folder / "ran", folder / "go"
        self.workers: list[subprocess.Popen[bytes]] = []
        project.write("dvc.yaml", PIPELINE.format(ran=self.ran, go=self.go))
        project.write("size", "9\n")
        project.dvc("remote", "add", "--default", "store", str(folder / "store"))
        project.publish(folder / "origin")
        project.write("size", "not committed\n")

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """A worker of the pool in a folder of its own."""
        home = self.folder / name
        home.mkdir()
        environment = {
            "WHERE": name,
            "PREFECT_DVC_HOME": str(home / "stages"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        with (home / "log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "prefect", "worker", "start", "--pool", "gpu", "--type", "process"],
                cwd=home,
                env=os.environ | self._settings | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.workers.append(worker)
        return worker


@pytest.fixture
def machines(make: Any, server: dict[str, str], tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(tmp_path, make("no_git"), server)
    yield machines
    for worker in machines.workers:
        worker.send_signal(signal.SIGINT)
        worker.wait()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://somebody:secret@example.com/a/b.git", "https://example.com/a/b.git"),
        ("https://to@ken@example.com/a@b", "https://example.com/a@b"),
        ("git@example.com:a/b.git", "git@example.com:a/b.git"),
        ("/srv/git/b", "/srv/git/b"),
    ],
)
def test_no_password_goes_to_the_server(address: str, shown: str) -> None:
    assert without_password(address) == shown


def run() -> tuple[Any, dict[str, str]]:
    """The state, and how each stage ended."""
    state: Any = repro(jobs=1, return_state=True)
    results = state.result(raise_on_failure=False) if state.data is not None else []
    return state, {result.stage: str(result.outcome) for result in results}


def test_a_stage_runs_on_another_machine_and_one_that_dies_is_found_dead(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_pool, _ = run()
    assert (
        "the server has no pool gpu; make it: prefect work-pool create --type process gpu"
        in without_pool.message
    )
    with get_client(sync_client=True) as client:
        client.request("POST", "/work_pools/", json={"name": "gpu", "type": "process"}).raise_for_status()
    monkeypatch.setattr(pools, "SILENCE", 20.0)
    first = machines.start("one")

    over = threading.Event()

    def kill() -> None:
        with get_client(sync_client=True) as client:
            # It has begun, and has shown that it is alive.
            while not (machines.ran.exists() and any(ALIVE in r.labels for r in client.read_flow_runs())):
                if over.wait(0.1):
                    return
        worker = psutil.Process(first.pid)
        # The worker first, which would tell of the others; these end by themselves, too, or have ended.
        for process in [worker, *worker.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    killer = threading.Thread(target=contextvars.copy_context().run, args=[kill])  # with the settings
    killer.start()
    state, ended = run()
    over.set()
    killer.join()
    assert state.is_failed()
    assert state.message.splitlines()[:2] == [
        "train failed:",
        "error: its worker has given no sign of life for 20 seconds; run it again",
    ]
    assert ended == {"prepare": "up to date", "train": "failed", "count": "skipped"}
    machines.go.touch()
    monkeypatch.setattr(pools, "SILENCE", 600.0)
    machines.start("two")
    state, ended = run()
    assert state.is_completed(), state.message
    assert ended == {"prepare": "up to date", "train": "ran", "count": "ran"}
    assert machines.ran.read_text().split() == ["one", "two"]
    assert "gpu: training" in caplog.messages, "the log of the other machine comes here"
    assert "training" in (machines.folder / "two/log").read_text()
    lock = read(machines.project.folder / "dvc.lock")
    machines.project.run("rm", "-r", "model", ".dvc/cache")
    state, ended = run()
    assert state.is_completed(), state.message
    assert ended == {"prepare": "up to date", "train": "restored from cache", "count": "up to date"}
    assert machines.ran.read_text().split() == ["one", "two"], "what has run anywhere is not run again"
    machines.project.dvc("repro", "--force", "--no-run-cache")
    assert read(machines.project.folder / "dvc.lock") == lock, "the same as here"
    refs = machines.project.run("git", "ls-remote", "origin").split()[1::2]
    assert refs == ["HEAD", "refs/heads/main"] or refs == ["refs/heads/main"]
    assert list((machines.folder / "two/stages/work").iterdir()) == []
    with get_client(sync_client=True) as client:
        states = {
            str(found.state_name): found.labels for found in client.read_flow_runs() if found.name == "train"
        }
    assert states.keys() == {"Crashed", "Completed"}
    assert ALIVE in states["Crashed"]
