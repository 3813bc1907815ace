"""compose.yaml, with Debian's docker-compose and with compose v2: up, at work, down, and up again."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import httpx
import pytest

from tests.containers import IMAGE
from tests.flows.servers import ask, until
from tests.project import ROOT

PLUGIN = ["docker", "compose"]
Compose = Callable[..., str]


@pytest.fixture
def port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        free: int = listener.getsockname()[1]
        return free


@pytest.fixture(params=[["docker-compose"], PLUGIN], ids=["v1", "v2"])
def compose(
    request: pytest.FixtureRequest, engine: docker.DockerClient, port: int, tmp_path: Path
) -> Iterator[Compose]:
    """Runs a command of one of the two; returns what it prints."""
    command: list[str] = request.param
    if not shutil.which(command[0]) or subprocess.run([*command, "version"], capture_output=True).returncode:
        pytest.skip(f"`{' '.join(command)}` is not installed")
    environment = {**os.environ, "PORT": str(port), "IMAGE": IMAGE}

    def run(*arguments: str) -> str:
        name = f"--project-name=digits-{port}"
        done = subprocess.run(
            [*command, name, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    yield run
    run("down", "--volumes")


def container(engine: docker.DockerClient, port: int, service: str) -> docker.models.containers.Container:
    labels = [f"com.docker.compose.project=digits-{port}", f"com.docker.compose.service={service}"]
    (found,) = engine.containers.list(all=True, filters={"label": labels})
    return found


def test_all_is_at_work_after_up_and_gone_after_down(
    compose: Compose, engine: docker.DockerClient, port: int
) -> None:
    compose("up", "--detach")

    def first_run() -> int | None:
        state = container(engine, port, "pipeline").attrs["State"]
        return int(state["ExitCode"]) if state["Status"] == "exited" else None

    until(lambda: first_run() is not None, 150, "the first run goes on and on")
    said = container(engine, port, "pipeline").logs().decode()
    assert first_run() == 0, said
    assert said.count("  ran\n") == 8, said

    until(lambda: _health(engine, port, "worker") == "healthy", 60, "the worker is not healthy")
    assert _health(engine, port, "server") == "healthy"
    api = f"http://127.0.0.1:{port}/api"
    assert httpx.get(f"http://127.0.0.1:{port}").is_success
    nightly = ask(f"{api}/deployments/name/pipeline/nightly")
    assert nightly["schedules"][0]["schedule"]["cron"] == "0 3 * * *"
    asked = ask(f"{api}/deployments/{nightly['id']}/create_flow_run", {})

    def state() -> str:
        return str(ask(f"{api}/flow_runs/{asked['id']}")["state_name"])

    until(lambda: state() == "Completed", 60, container(engine, port, "worker").logs().decode())

    compose("down")
    compose("up", "--detach")
    until(lambda: first_run() is not None, 100, "the second run goes on and on")
    assert "up to date" in container(engine, port, "pipeline").logs().decode()
    assert state() == "Completed", "the server has kept what it knew"
    compose("down", "--volumes")
    assert not engine.volumes.list(filters={"label": f"com.docker.compose.project=digits-{port}"})


def _health(engine: docker.DockerClient, port: int, service: str) -> str:
    return str(container(engine, port, service).attrs["State"]["Health"]["Status"])
