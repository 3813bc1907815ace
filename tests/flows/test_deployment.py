"""prefect.yaml on a real server, with a real worker: what is due runs, and two runs never overlap."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from tests.project import ROOT

PREFECT = [sys.executable, "-m", "prefect", "--no-prompt"]
DEPLOYED = YAML(typ="safe").load(ROOT / "prefect.yaml")
POOL = DEPLOYED["deployments"][0]["work_pool"]["name"]


def until(check: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, what
        time.sleep(0.3)
    return found


class Server:
    """A Prefect server of its own, with its commands."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        self.env = kept | {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.url,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        self.log = folder / "log"

    def start(self, *command: str, cwd: Path = ROOT) -> subprocess.Popen[bytes]:
        with self.log.open("a") as log:
            return subprocess.Popen([*PREFECT, *command], cwd=cwd, env=self.env, stdout=log, stderr=log)

    def run(self, *command: str, cwd: Path) -> str:
        done = subprocess.run(
            [*PREFECT, *command], cwd=cwd, env=self.env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health").is_success
        except httpx.HTTPError:
            return False

    def runs(self, **chosen: object) -> list[dict[str, Any]]:
        answer = httpx.post(f"{self.url}/flow_runs/filter", json=chosen)
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    process = server.start("server", "start", "--port", str(server.port), "--no-ui")
    try:
        until(server.healthy, 120, "the server does not answer")
        yield server
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def project(empty_project: Path, tmp_path: Path) -> Path:
    """A project with these flows and deployments, due every few seconds, whose stage takes a while."""
    root = tmp_path / "project"
    shutil.copytree(empty_project, root)
    for folder in ("flows", "digits"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    command = "date +%s.%N >> times; sleep 4; date +%s.%N >> times; cp source copy"
    stages = {"train": {"cmd": command, "deps": ["source"], "outs": ["copy"]}}
    (root / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    (root / "source").touch()
    return root


@pytest.fixture
def worker(server: Server, project: Path) -> Iterator[None]:
    server.run("work-pool", "create", POOL, "--type", "process", "--overwrite", cwd=project)
    process = server.start("worker", "start", "--pool", POOL, "--type", "process")
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.usefixtures("worker")
def test_what_is_due_runs_and_runs_do_not_overlap(server: Server, project: Path) -> None:
    deployment = DEPLOYED["deployments"][0]
    often = {**deployment, "name": "often", "schedules": [{"interval": 20, "slug": "often"}]}
    often["parameters"] = {**deployment["parameters"], "force": True}
    (project / "prefect.yaml").write_text(json.dumps({**DEPLOYED, "deployments": [often]}))
    server.run("deploy", "--all", cwd=project)

    # A run of the schedule, and two by hand at the same time.
    for _ in range(2):
        server.run("deployment", "run", "pipeline/often", "-p", "time_limit=60", cwd=project)

    def completed() -> list[dict[str, Any]]:
        runs = server.runs()
        assert not [run for run in runs if run["state_type"] in ("FAILED", "CRASHED", "CANCELLED")], runs
        return [run for run in runs if run["state_type"] == "COMPLETED"]

    until(lambda: sum(not run["auto_scheduled"] for run in completed()) == 2, 150, server.log.read_text())
    until(lambda: any(run["auto_scheduled"] for run in completed()), 60, server.log.read_text())
    moments = [float(line) for line in (project / "times").read_text().split()]
    assert len(moments) >= 6
    assert moments == sorted(moments), "each run ended before the next began"


def test_the_committed_schedule_is_on_the_server(server: Server, tmp_path: Path) -> None:
    server.run("work-pool", "create", POOL, "--type", "process", "--overwrite", cwd=ROOT)
    server.run("deploy", "--all", cwd=ROOT)
    found = httpx.get(f"{server.url}/deployments/name/pipeline/nightly").raise_for_status().json()
    (schedule,) = found["schedules"]
    assert schedule["schedule"]["cron"] == "0 3 * * *"
    assert schedule["schedule"]["timezone"] == "Europe/Berlin"
    assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert found["global_concurrency_limit"]["limit"] == 1
    until(lambda: server.runs(deployments={"id": {"any_": [found["id"]]}}), 60, "no run is planned")
