"""compose.yaml: v2 brings it up, to work and down; the older docker-compose goes on with what was kept."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator

import docker
import httpx
import pytest
from ruamel.yaml import YAML

from tests.containers import IMAGE
from tests.flows.servers import ask
from tests.patience import PATIENCE, until
from tests.project import ROOT, STAGES
from tests.shared import free_port

KEY = "tester:a password"
AUTH = httpx.BasicAuth(*KEY.split(":"))
TAKEN = ("port is already allocated", "address already in use")


class Compose:
    """Runs commands of one version of compose, on a project of its own."""

    def __init__(self, command: list[str], engine: docker.DockerClient) -> None:
        if (
            not shutil.which(command[0])
            or subprocess.run([*command, "version"], capture_output=True).returncode
        ):
            pytest.skip(f"`{' '.join(command)}` is not installed")
        self.name = f"digits-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        self._version = command
        self._engine = engine

    def on_the_project_of(self, other: "Compose") -> "Compose":
        """This version, on what the other one keeps."""
        version = Compose(self._version, self._engine)
        version.name = other.name
        return version

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._version, f"--project-name={self.name}", *arguments],
            cwd=ROOT,
            env={**os.environ, "PORT": str(self.port), "IMAGE": IMAGE, "PREFECT_API_AUTH_STRING": KEY},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )

    def __call__(self, *arguments: str) -> str:
        done = self._run(*arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def up(self, *services: str) -> None:
        """Start them, on another port where somebody else has taken this one."""
        for _ in range(5):
            done = self._run("up", "--detach", *services)
            if not any(text in done.stdout for text in TAKEN):
                break
            self.port = free_port()
        assert done.returncode == 0, done.stdout

    def workspace_with(self, script: str) -> None:
        """Make the volume of the workspace, with a params.yaml that `sed` has changed by this script."""
        self("run", "--rm", "-T", "--no-deps", "pipeline", "sed", "--in-place", script, "params.yaml")

    def container(self, service: str) -> docker.models.containers.Container:
        labels = [f"com.docker.compose.project={self.name}", f"com.docker.compose.service={service}"]
        (found,) = self._engine.containers.list(all=True, filters={"label": labels})
        return found

    def until_healthy(self, service: str) -> None:
        until(
            lambda: self.container(service).attrs["State"]["Health"]["Status"] == "healthy",
            f"the {service} is not healthy",
        )

    def first_run(self) -> str:
        """What the first run has said, when it has ended well."""
        until(
            lambda: self.container("pipeline").attrs["State"]["Status"] == "exited", "the run goes on and on"
        )
        container = self.container("pipeline")
        said: str = container.logs().decode()
        assert container.attrs["State"]["ExitCode"] == 0, said
        return said


@pytest.fixture
def v1(engine: docker.DockerClient) -> Iterator[Compose]:
    compose = Compose(["docker-compose"], engine)
    yield compose
    compose("down", "--volumes")


@pytest.fixture
def v2(engine: docker.DockerClient) -> Iterator[Compose]:
    compose = Compose(["docker", "compose"], engine)
    yield compose
    compose("down", "--volumes")


def test_all_is_at_work_after_up_and_gone_after_down(
    v1: Compose, v2: Compose, engine: docker.DockerClient
) -> None:
    quickly = {
        "epochs: 5": "epochs: 1",
        "min_accuracy: 0.93": "min_accuracy: 0.5",
        "near_ties: 200": "near_ties: 10",
        r"\[1, 7, 64, 1000, 10000\]": "[64]",
    }
    v2.workspace_with("; ".join(f"s/{old}/{new}/" for old, new in quickly.items()))
    v2.up()
    said = v2.first_run()
    assert "epoch 1/1" in said, "the parameters of the workspace count"
    assert said.count("  ran\n") == len(STAGES), said
    v2.until_healthy("worker")
    v2.until_healthy("server")
    api = f"http://127.0.0.1:{v2.port}/api"
    assert httpx.get(f"http://127.0.0.1:{v2.port}").is_success
    assert httpx.post(f"{api}/flow_runs/filter", json={}).status_code == httpx.codes.UNAUTHORIZED
    nightly = ask(f"{api}/deployments/name/pipeline/nightly", auth=AUTH)
    assert nightly["schedules"][0]["schedule"]["cron"] == "0 3 * * *"
    run = ask(f"{api}/deployments/{nightly['id']}/create_flow_run", {}, AUTH)["id"]
    completed(v2, run)
    v2("down")

    # The older one starts all of it, too: a server that knows the run, a worker, and a pipeline.
    older = v1.on_the_project_of(v2)
    older.up()
    assert "up to date" in older.first_run()
    older.until_healthy("worker")
    completed(older, run)
    older("down")
    assert engine.volumes.list(filters={"label": f"com.docker.compose.project={v2.name}"})
    v2("down", "--volumes")
    assert not engine.volumes.list(filters={"label": f"com.docker.compose.project={v2.name}"})


def test_without_a_password_nothing_starts(v2: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_compose.KEY", "")
    done = v2._run("up", "--detach")
    monkeypatch.undo()
    assert done.returncode != 0
    assert "say USER:PASSWORD of the server, or use make up" in done.stdout


def completed(compose: Compose, run: str) -> None:
    """Wait until the server knows this run as completed."""
    url = f"http://127.0.0.1:{compose.port}/api/flow_runs/{run}"
    until(
        lambda: ask(url, auth=AUTH)["state_name"] == "Completed",
        lambda: compose.container("worker").logs().decode(),
    )


def test_both_versions_read_the_same(v1: Compose, v2: Compose) -> None:
    first, second = (YAML(typ="safe").load(compose("config")) for compose in (v1, v2))
    assert set(first["services"]) == set(second["services"])
    for name, service in second["services"].items():
        for key in ("command", "image"):
            assert first["services"][name][key] == service[key], f"{key} of {name}"


def test_the_older_version_removes_what_it_has_made(v1: Compose, engine: docker.DockerClient) -> None:
    v1("up", "--no-start")
    volumes = {"label": f"com.docker.compose.project={v1.name}"}
    assert len(engine.volumes.list(filters=volumes)) == 2
    v1("down", "--volumes")
    assert not engine.volumes.list(filters=volumes)
