"""Whoever must be told is told: real events, a real automation, and a webhook that arrives."""

import json
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.flows import releasing
from tests.flows.servers import NIGHTLY, Server, ask, copy_flows, serving
from tests.patience import until
from tests.processes import command_of
from tests.project import ROOT


class Receiver(ThreadingHTTPServer):
    """Keeps the webhooks that arrive."""

    def __init__(self, server: Server) -> None:
        receiver = self
        self._server = server
        self.received: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.received.append({**body, "authorization": self.headers["Authorization"]})
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def next(self) -> dict[str, Any]:
        until(self._arrived, "no webhook came")
        return self.received.pop(0)

    def _arrived(self) -> bool:
        """Whether there is one; what the server gave up, as SQLite was busy four times, is sent again."""
        for path in Path(self._server.env["PREFECT_HOME"], "dlq").glob("*"):
            event = json.loads(json.loads(path.read_text())["data"])
            path.unlink()
            send(self._server, {**event, "id": str(uuid.uuid4())})
        return bool(self.received)


def send(server: Server, event: dict[str, Any]) -> None:
    assert httpx.post(f"{server.url}/events", json=[event], timeout=30).is_success


@pytest.fixture(scope="module")
def events_server(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, which tells nobody of other tests' runs."""
    with serving(tmp_path_factory.mktemp("server"), server, events=True) as own:
        yield own


@pytest.fixture
def receiver(events_server: Server) -> Iterator[Receiver]:
    with Receiver(events_server) as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


@pytest.fixture
def project(empty_project: Path, tmp_path: Path, small_path: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", small_path)
    root = copy_flows(empty_project, tmp_path / "project")
    releasing.write(root)
    return root


def automate(server: Server, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "flows.automations"],
        cwd=ROOT,
        env=server.env | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_failure_recovery_a_drop_and_a_crash_reach_the_webhook(
    events_server: Server, project: Path, receiver: Receiver
) -> None:
    server = events_server
    url = f"http://127.0.0.1:{receiver.server_address[1]}/hook"
    said = automate(server, DIGITS_WEBHOOK_URL=url, DIGITS_WEBHOOK_TOKEN="a token")
    assert "a token" not in said
    deployment = {**NIGHTLY["nightly"], "schedules": []}
    server.deploy(project, deployment)
    with server.worker(project, deployment) as worker:
        # Good from the beginning: nobody is told.
        server.wait_for(server.begin(deployment), "Completed")

        releasing.write(project, "bad")
        server.wait_for(server.begin(deployment), "Failed")
        told = receiver.next()
        assert told["event"] == "digits.pipeline.failed"
        advice = "`make restore` puts the outputs of before back"
        assert told["message"] == f"evaluate failed:\nerror: the loss is not finite\n{advice}"
        assert told["deployment"] == "nightly"
        assert told["details"]["folder"] == str(project)
        assert told["details"]["parameters"]["time_limit"] == 3600
        assert told["authorization"] == "Bearer a token"
        assert "/runs/flow-run/" in told["page"]

        releasing.write(project, "0.94")
        server.wait_for(server.begin(deployment), "Completed")
        both = {told["event"]: told for told in (receiver.next(), receiver.next())}
        assert both["digits.pipeline.recovered"]["message"].endswith("which ended as Failed")
        dropped = both["digits.accuracy.dropped"]
        assert "is 0.9400, that of " in dropped["message"]
        assert "the best one before, 0.9500; a drop of 0.0050 is allowed" in dropped["message"]

        releasing.write(project, "0.939")
        Path(project / "evaluate").write_text(releasing.EVALUATE + "touch begun; sleep 100000")
        run = server.begin(deployment)
        until((project / "begun").exists, server.log.read_text)
        for process in psutil.Process(worker.pid).children(recursive=True):
            if "prefect.engine" in " ".join(command_of(process)):
                with suppress(psutil.NoSuchProcess):  # it ends with the one before
                    process.send_signal(signal.SIGKILL)
        server.wait_for(run, "Crashed")
        told = receiver.next()
        assert told["event"] == "prefect.flow-run.Crashed"
        assert "-9" in told["message"]
        assert told["run"]

    # The server evaluates an event again where its database was busy: one crash is one message.
    asked = {"filter": {"event": {"name": ["prefect.flow-run.Crashed"]}}}
    (crash,) = until(lambda: ask(f"{server.url}/events/filter", asked)["events"], "no event is kept")
    again = {**crash, "id": str(uuid.uuid4()), "follows": None}
    later, latest = (
        {**again, "id": str(uuid.uuid4()), "occurred": str(datetime.now(UTC) + timedelta(minutes=minutes))}
        for minutes in (1, 2)
    )
    for event in (later, latest):
        send(server, {**again, "id": str(uuid.uuid4())})
        send(server, event)
        assert receiver.next()["occurred"] == event["occurred"]
    assert receiver.received == []


def test_automations_are_put_once_and_changed_after_that(events_server: Server) -> None:
    server = events_server

    def found() -> list[dict[str, Any]]:
        answer = ask(f"{server.url}/automations/filter", {})
        return [one for one in answer if one["name"].startswith("pipeline: ")]

    automate(server, DIGITS_WEBHOOK_URL="http://127.0.0.1:9/first")
    before = {one["id"] for one in found()}
    automate(server, DIGITS_WEBHOOK_URL="http://127.0.0.1:9/second")
    assert {one["id"] for one in found()} == before
    names = {"pipeline: messages", "pipeline: crashes", "pipeline: silent runs have crashed"}
    assert {one["name"] for one in found()} == names
    silence = next(one for one in found() if "silent" in one["name"])
    assert silence["trigger"]["within"] == 180
    assert silence["actions"][0]["state"] == "CRASHED"


def test_no_server_is_one_line(tmp_path: Path) -> None:
    environment = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "flows.automations"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: the Prefect server does not answer: ")
    assert "Traceback" not in done.stderr
