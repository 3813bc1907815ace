"""A hostile page in a real browser, on another port of this machine, and what Prefect's servers give it."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from benchmarks.page import serving as serving_files
from prefect_dvc import guard
from prefect_dvc.server import EmbeddedServer
from tests.flows.servers import Server
from tests.patience import until
from tests.project import ROOT
from tests.shared import free_port

# What a page may send unasked: a request without a type, which Prefect takes for JSON, and sockets.
ATTACK = """async (api) => {
  const json = {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"};
  const planted = new Blob([JSON.stringify({name: "planted", value: 1})]);
  const unasked = {method: "POST", mode: "no-cors", body: planted};
  const tried = {
    version: () => fetch(`${api}/admin/version`).then((answer) => answer.text()),
    runs: () => fetch(`${api}/flow_runs/filter`, json).then((answer) => answer.text()),
    planted: async () => { await fetch(`${api}/variables/`, unasked); return ""; },
  };
  const socket = (path, protocols, hello) => () => new Promise((resolve, reject) => {
    const made = new WebSocket(api.replace("http", "ws") + path, protocols);
    made.onclose = made.onerror = reject;
    made.onopen = () => hello ? made.send(hello) : resolve("open");
    made.onmessage = (message) => resolve(message.data);
  });
  for (const path of ["/events/in", "/events/out", "/logs/out"]) {
    tried[path] = socket(path, []);
    tried[`${path} by handshake`] = socket(path, ["prefect"], '{"type": "auth", "token": ""}');
  }
  const got = {};
  for (const [name, attempt] of Object.entries(tried))
    try { got[name] = await attempt(); } catch { got[name] = null; }
  return got;
}"""
ASK = """async ([address, key]) => {
  const headers = {Authorization: `Basic ${btoa(key)}`, "Content-Type": "application/json"};
  return (await fetch(address, {method: "POST", headers, body: "{}"})).status;
}"""


@pytest.fixture(scope="module")
def hostile(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "index.html").write_text("<!doctype html><title>win a prize</title>")
    with serving_files(folder) as address, contextlib.closing(browser.new_page()) as page:
        page.goto(address)
        yield page


def variables(url: str, key: str | None) -> list[str]:
    auth = httpx.BasicAuth(*key.split(":")) if key else None
    answer = httpx.post(f"{url}/variables/filter", json={}, auth=auth, timeout=30).raise_for_status()
    return [found["name"] for found in answer.json()]


def gets_nothing(page: Page, url: str, key: str) -> None:
    got: dict[str, Any] = page.evaluate(ATTACK, url)
    assert got.pop("planted") == "", "the page does not learn that it was refused"
    assert not any(got.values()), got
    assert variables(url, key) == []
    assert httpx.post(f"{url}/variables/filter", json={}, timeout=30).status_code == 401


def test_without_a_password_a_page_gets_far(hostile: Page, own_server: Server) -> None:
    """So the tests below prove something. Closed origins are not enough: they keep it from reading alone."""
    got: dict[str, Any] = hostile.evaluate(ATTACK, own_server.url)
    assert (got["version"], got["runs"]) == (None, None)
    assert got["/events/in"] == got["/logs/out"] == "open"
    assert variables(own_server.url, None) == ["planted"]


def test_the_server_of_a_run_is_for_that_run_alone(
    hostile: Page, used_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(used_home))
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "user:known")  # of another server
    servers = [EmbeddedServer(), EmbeddedServer()]
    try:
        for server in servers:
            server.wait()
            gets_nothing(hostile, server.url, server.key)
        assert servers[0].key != servers[1].key
        assert not any(server.key in " ".join(server._process.args) for server in servers)  # type: ignore[arg-type]
    finally:
        for server in servers:
            server.stop()


@pytest.fixture
def made(used_home: Path, tmp_path: Path) -> Iterator[tuple[int, str]]:
    """The port and password of what `make server` starts."""
    port, key = free_port(), tmp_path / "server.key"
    done = [word for variant in ("default", "cpu") for word in ("-o", f".venv/.installed-{variant}")]
    command = [*guarded(), "make", *done, "server", f"PORT={port}", f"SERVER_KEY={key}", "ARGS="]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MAKE"))}
    log = tmp_path / "log"
    with log.open("w") as said:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=kept | {"PREFECT_HOME": str(used_home)},
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
        )
    try:
        until(lambda: answers(port), lambda: log.read_text())
        assert key.stat().st_mode & 0o777 == 0o600
        password = key.read_text().strip()
        assert password not in log.read_text(), "logs are kept and shown"
        yield port, password
    finally:
        process.communicate()


def guarded() -> list[str]:
    return ["python", guard.__file__]


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/health").is_success
    except httpx.HTTPError:
        return False


def test_the_server_of_a_folder_has_a_password_and_its_own_page_uses_it(
    hostile: Page, made: tuple[int, str]
) -> None:
    port, key = made
    url = f"http://127.0.0.1:{port}/api"
    gets_nothing(hostile, url, key)
    for name in ("127.0.0.1", "localhost"):
        with contextlib.closing(hostile.context.browser.new_page()) as own:  # type: ignore[union-attr]
            own.goto(f"http://{name}:{port}/")
            assert own.evaluate(ASK, [f"{url}/flow_runs/filter", key]) == 200
            assert own.evaluate(ASK, [f"{url}/flow_runs/filter", "digits:guessed"]) == 401
