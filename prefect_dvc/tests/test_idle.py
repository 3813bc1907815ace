"""A run that finds nothing to do is told to the server without Prefect."""

import http.server
import json
import socket
import threading
from typing import Any

import pytest

from prefect_dvc import idle
from prefect_dvc.project import Project, Stage

RESULTS = idle.up_to_date([Stage("prepare"), Stage("train")])


@pytest.fixture
def used(server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.mark.usefixtures("used")
def test_the_server_knows_it_as_a_run_that_completed() -> None:
    from prefect import get_client

    name = idle.record("repro", {"jobs": 2, "limits": {"gpu": 1.0}, "targets": ["train"]}, RESULTS, None)
    with get_client(sync_client=True) as client:
        (run,) = [run for run in client.read_flow_runs() if run.name == name]
        assert client.read_flow(run.flow_id).name == "repro"
    assert run.state
    assert run.state.is_completed()
    assert run.state.message == "prepare up to date, train up to date"
    assert run.parameters == {"jobs": 2, "limits": {"gpu": 1.0}, "targets": ["train"]}
    assert run.start_time


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREFECT_API_AUTH_STRING", "somebody:else"),
        ("PREFECT_API_KEY", "pnu_1"),
        ("PREFECT_CLIENT_CUSTOM_HEADERS", '{"X-Tenant": "a"}'),
        ("PREFECT_API_URL", "https://127.0.0.1/api"),
    ],
)
def test_what_only_prefect_can_do_is_left_to_it(
    used: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert idle.record("repro", {}, RESULTS, None) is None


def test_a_server_that_is_away_is_left_to_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    assert idle.record("repro", {}, RESULTS, None) is None


def test_a_server_whose_database_is_busy_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(503, {}), (200, {"id": "1"}), (503, {}), (503, {}), (201, {"name": "busy-bee"})]

    class Busy(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            code, content = answers.pop(0)
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

    with http.server.HTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert idle.record("repro", {}, RESULTS, None) == "busy-bee"
        server.shutdown()
    assert not answers


def test_what_is_still_to_be_done_after_stages_that_are_up_to_date(make: Any) -> None:
    project = make("linear")
    options: dict[str, object] = {
        "commit_to": None,
        "experiment": None,
        "when_changed": False,
        "remote": True,
        "pools": {},
    }
    known = Project(project.folder)
    assert idle.nothing_follows(known, options)
    for other in (
        {"commit_to": "results"},
        {"experiment": "new"},
        {"when_changed": True},
        {"pools": {"train": "gpu"}},
    ):
        assert not idle.nothing_follows(known, options | other)
    project.dvc("remote", "add", "--default", "store", str(project.folder.parent / "store"))
    assert not idle.nothing_follows(known, options)
    assert idle.nothing_follows(known, options | {"remote": False})
