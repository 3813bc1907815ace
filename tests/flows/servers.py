"""A Prefect server of its own, and workers, for the tests of deployments."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from tests.project import ROOT

PREFECT = [sys.executable, "-m", "prefect", "--no-prompt"]
DEPLOYED = YAML(typ="safe").load(ROOT / "prefect.yaml")
NIGHTLY = {deployment["name"]: deployment for deployment in DEPLOYED["deployments"]}


BUSY = 3  # times as slow as idle a machine may be; a wait that ends well takes no longer for it


def until(check: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `check` returns once it is true; fails where that takes `seconds` of an idle machine."""
    deadline = time.monotonic() + BUSY * seconds
    while not (found := check()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    """What a server answers; one that is busy or silent is asked again, as Prefect's own clients do."""

    def answer() -> httpx.Response | None:
        method = "GET" if body is None else "POST"
        try:
            response = httpx.request(method, url, json=body, timeout=30)
        except httpx.TransportError:
            return None
        return None if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else response

    response: httpx.Response = until(answer, 60, f"{url} does not answer")
    return response.raise_for_status().json()


def copy_flows(empty_project: Path, root: Path) -> Path:
    """Make `root` a project with this one's flows and no stages yet."""
    shutil.copytree(empty_project, root)
    for folder in ("flows", "digits"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.toml", root)
    return root


def kind_of(pool: str) -> str:
    return "docker" if "docker" in pool else "process"


def changed(project: Path, name: str = "nightly", **changes: Any) -> dict[str, Any]:
    """A deployment of prefect.yaml with name and pool of its own, no schedule, and these changes."""
    own = f"{name}-{project.parent.name.replace('_', '-')}"
    pool = {**NIGHTLY[name]["work_pool"], "name": f"pool-{own}"}
    parameters = {**NIGHTLY[name]["parameters"], "force": True, "remote": False}
    return {
        **NIGHTLY[name],
        "name": own,
        "work_pool": pool,
        "parameters": parameters,
        "schedules": [],
    } | changes


class Server:
    """A server with the settings of this project, and an environment whose commands use it."""

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
            "DO_NOT_TRACK": "1",
        }
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        own = {**self.env, "PREFECT_UI_URL": f"http://127.0.0.1:{self.port}"}  # as `make server` does
        del own["PREFECT_API_URL"]
        command = [*PREFECT, "server", "start", "--port", str(self.port), "--no-ui"]
        self._process = self._popen(ROOT, command, own)
        until(self.healthy, 120, "the server does not answer")

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        assert self._process
        self._process.terminate()
        self._process.wait(BUSY * 30)

    def _popen(
        self, folder: Path, command: list[str], env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with self.log.open("a") as log:
            return subprocess.Popen(command, cwd=folder, env=env or self.env, stdout=log, stderr=log)

    def run(self, folder: Path, *command: str) -> str:
        done = subprocess.run(
            [*PREFECT, *command], cwd=folder, env=self.env, capture_output=True, text=True, timeout=BUSY * 120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health").is_success
        except httpx.HTTPError:
            return False

    def runs(self, **chosen: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask(f"{self.url}/flow_runs/filter", chosen)
        return found

    def deploy(self, folder: Path, deployment: dict[str, Any]) -> None:
        """Put this deployment on the server, with its work pool, from a project in `folder`."""
        pool = deployment["work_pool"]["name"]
        self.run(folder, "work-pool", "create", pool, "--type", kind_of(pool), "--overwrite")
        (folder / "prefect.yaml").write_text(json.dumps({**DEPLOYED, "deployments": [deployment]}))
        self.run(folder, "deploy", "--all")

    def begin(self, deployment: dict[str, Any], **parameters: object) -> str:
        """Ask for a run of a deployment; return its ID."""
        found = ask(f"{self.url}/deployments/name/pipeline/{deployment['name']}")
        # With a key, asking again gives the same run.
        key = str(uuid.uuid4())
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}, "idempotency_key": key}
        return str(ask(f"{self.url}/deployments/{found['id']}/create_flow_run", asked)["id"])

    def state(self, run: str) -> str:
        return str(ask(f"{self.url}/flow_runs/{run}")["state_name"])

    def wait_for(self, run: str, *states: str, seconds: float = 60) -> str:
        until(
            lambda: self.state(run) in states,
            seconds,
            f"the run is not {' or '.join(states)}, but {self.state(run)}:\n{self.log.read_text()[-4000:]}",
        )
        return self.state(run)

    @contextmanager
    def worker(self, folder: Path, deployment: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of this project in `folder`, for the pool of this deployment."""
        pool = deployment["work_pool"]["name"]
        command = [sys.executable, "-m", "flows.worker", "--pool", pool, "--type", kind_of(pool)]
        process = self._popen(folder, command)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(BUSY * 60)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
