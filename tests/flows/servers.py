"""A Prefect server of its own, and workers, for the tests of deployments."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from ruamel.yaml import YAML

from prefect_dvc import guard
from tests import costly
from tests.patience import PATIENCE, until
from tests.project import ROOT
from tests.shared import free_port, start_for_all

PREFECT = [sys.executable, "-m", "prefect", "--no-prompt"]
DEPLOYED = YAML(typ="safe").load(ROOT / "prefect.yaml")
CLIENT = httpx.Client(timeout=30)  # one, as each loads all certificates of this machine
NIGHTLY = {
    deployment["name"]: deployment
    for deployment in DEPLOYED["deployments"]
    if deployment["entrypoint"] == "flows.pipeline:pipeline"
}
# Each takes time for every event or run, and no run needs it.
NEEDLESS = ("TRIGGERS", "EVENT_PERSISTER", "LATE_RUNS", "FOREMAN", "PAUSE_EXPIRATIONS")
Committed = dict[str, dict[str, Any]]
"""By kind of pool: the deployment and the work pool that a server has after `prefect deploy`."""


def ask(url: str, body: dict[str, Any] | None = None, auth: httpx.Auth | None = None) -> Any:
    """What a server answers; one that is busy or silent is asked again, as Prefect's own clients do."""

    def answer() -> httpx.Response | None:
        method = "GET" if body is None else "POST"
        try:
            response = CLIENT.request(method, url, json=body, auth=auth)
        except httpx.TransportError:
            return None
        return None if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else response

    response: httpx.Response = until(answer, f"{url} does not answer")
    return response.raise_for_status().json()


def copy_flows(empty_project: Path, root: Path) -> Path:
    """Make `root` a project with this one's flows and no stages yet."""
    shutil.copytree(empty_project, root)
    for folder in ("flows", "prefect_dvc", "digits"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.toml", root)
    return root


def kind_of(pool: str) -> str:
    return "docker" if "docker" in pool else "process"


def changed(project: Path, name: str = "nightly", **changes: Any) -> dict[str, Any]:
    """A deployment of prefect.yaml with name and pool of its own, no schedule, and these changes."""
    process = os.environ.get("PYTEST_XDIST_WORKER", "alone")  # each has folders of the same names
    own = f"{name}-{process}-{project.parent.name.replace('_', '-')}"
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

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """A server whose files are in `folder`; with a port, one that is at work already."""
        costly.check("a Prefect server")
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        self.env = kept | {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.url,
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "DO_NOT_TRACK": "1",
        }
        self.log = folder / "log"
        self.log.touch()
        self.events = False
        """Whether it evaluates and keeps events."""
        self.new: Path
        """The Prefect home of a server that has just been started for the first time."""
        self.committed: Callable[[], Committed]
        self._guard: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        return [*PREFECT, "server", "start", "--port", str(self.port), "--no-ui"]

    def own_environment(self) -> dict[str, str]:
        own = {**self.env, "PREFECT_UI_URL": f"http://127.0.0.1:{self.port}"}  # as `make server` does
        # A turn that comes only when a lease has run out is one that tests do not live to see.
        own["PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION"] = "3600"
        if not self.events:
            own |= {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in NEEDLESS}
        del own["PREFECT_API_URL"]
        return own

    def start(self) -> None:
        command = [sys.executable, guard.__file__, *self.command()]
        self._guard = self._popen(ROOT, command, self.own_environment(), stdin=subprocess.PIPE)
        until(self.healthy, "the server does not answer")

    def start_for_all(self) -> None:
        """Start it for all processes of the test run, at whose end it ends."""
        start_for_all(self.command(), ROOT, self.own_environment(), self.log)
        until(self.healthy, "the server does not answer")

    def kill(self) -> None:
        assert self._guard
        (process,) = psutil.Process(self._guard.pid).children()
        process.kill()
        self._guard.communicate()

    def stop(self) -> None:
        assert self._guard
        self._guard.communicate()  # its input ends, and so it does

    def _popen(
        self, folder: Path, command: list[str], env: dict[str, str] | None = None, stdin: int | None = None
    ) -> subprocess.Popen[bytes]:
        with self.log.open("a") as log:
            return subprocess.Popen(
                command, cwd=folder, env=env or self.env, stdin=stdin, stdout=log, stderr=log
            )

    def run(self, folder: Path, *command: str) -> str:
        done = subprocess.run(
            [*PREFECT, *command], cwd=folder, env=self.env, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def healthy(self) -> bool:
        try:
            return CLIENT.get(f"{self.url}/health").is_success
        except httpx.HTTPError:
            return False

    def runs(self, **chosen: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask(f"{self.url}/flow_runs/filter", chosen)
        return found

    def keep_new(self, folder: Path) -> None:
        """Copy its Prefect home, so that other servers need not make theirs step by step."""
        home = Path(self.env["PREFECT_HOME"])
        folder.mkdir()
        databases = (sqlite3.connect(path / "prefect.db") for path in (home, folder))
        with closing(next(databases)) as at_work, closing(next(databases)) as copy:
            at_work.backup(copy)
        shutil.copy(home / "memo_store.toml", folder)

    def commit(self) -> Committed:
        """Put prefect.yaml on the server by Prefect's commands, which take a while."""
        found = {}
        for name, deployment in NIGHTLY.items():
            pool = deployment["work_pool"]["name"]
            self.run(ROOT, "work-pool", "create", pool, "--type", kind_of(pool), "--overwrite")
            self.run(ROOT, "deploy", "--name", name)
            found[kind_of(pool)] = {
                "deployment": ask(f"{self.url}/deployments/name/pipeline/{name}"),
                "pool": ask(f"{self.url}/work_pools/{pool}"),
            }
        return found

    def deploy(self, folder: Path, deployment: dict[str, Any]) -> None:
        """Put this deployment on the server, with its work pool, as `prefect deploy` does in `folder`."""
        pool = deployment["work_pool"]
        kind = kind_of(pool["name"])
        committed = self.committed()[kind]
        template = committed["pool"]["base_job_template"]
        ask(f"{self.url}/work_pools/", {"name": pool["name"], "type": kind, "base_job_template": template})
        names = ("enforce_parameter_schema", "entrypoint", "parameter_openapi_schema", "path", "pull_steps")
        here = json.dumps({name: committed["deployment"][name] for name in names})
        slots = deployment["concurrency_limit"]
        schedules = [
            {"slug": planned["slug"], "schedule": {"interval": planned["interval"]}}
            for planned in deployment["schedules"]
        ]
        body = {
            "name": deployment["name"],
            "flow_id": ask(f"{self.url}/flows/", {"name": "pipeline"})["id"],
            "parameters": deployment["parameters"],
            "schedules": schedules,
            "concurrency_limit": slots["limit"],
            "concurrency_options": {"collision_strategy": slots["collision_strategy"]},
            "work_pool_name": pool["name"],
            "job_variables": pool.get("job_variables", {}),
        }
        ask(f"{self.url}/deployments/", json.loads(here.replace(str(ROOT), str(folder))) | body)

    def begin(self, deployment: dict[str, Any], **parameters: object) -> str:
        """Ask for a run of a deployment; return its ID."""
        found = ask(f"{self.url}/deployments/name/pipeline/{deployment['name']}")
        # With a key, asking again gives the same run.
        key = str(uuid.uuid4())
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}, "idempotency_key": key}
        return str(ask(f"{self.url}/deployments/{found['id']}/create_flow_run", asked)["id"])

    def state(self, run: str) -> str:
        return str(ask(f"{self.url}/flow_runs/{run}")["state_name"])

    def wait_for(self, run: str, *states: str) -> None:
        until(
            lambda: self.state(run) in states,
            lambda: f"the run is {self.state(run)}, not {states}:\n{self.log.read_text()[-4000:]}",
        )

    @contextmanager
    def worker(
        self, folder: Path, deployment: dict[str, Any], **environment: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of this project in `folder`, for the pool of this deployment."""
        pool = deployment["work_pool"]["name"]
        command = [sys.executable, "-m", "flows.worker", "--pool", pool, "--type", kind_of(pool)]
        path = os.environ.get("PYTHONPATH", "")  # where a test has set it after this server was made
        process = self._popen(folder, command, {**self.env, "PYTHONPATH": path, **environment})
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


@contextmanager
def serving(folder: Path, shared: Server, *, events: bool = False) -> Iterator[Server]:
    """Another server, which begins as the shared one began."""
    shutil.copytree(shared.new, folder / "prefect")
    server = Server(folder)
    server.events = events
    server.committed = shared.committed
    server.start()
    try:
        yield server
    finally:
        server.stop()
