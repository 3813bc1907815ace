import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prefect_dvc.server import EmbeddedServer, ServerError
from prefect_dvc.settings import server_is_configured
from tests.project import ROOT


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))


@pytest.fixture
def embedded(used_home: Path) -> Iterator[EmbeddedServer]:
    started = EmbeddedServer()
    yield started
    started.stop()


def test_it_answers_and_then_is_gone(embedded: EmbeddedServer) -> None:
    embedded.wait()
    with urllib.request.urlopen(f"{embedded.url}/health") as answer:
        assert json.load(answer) is True
    embedded.stop()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{embedded.url}/health")


@pytest.mark.usefixtures("costly")
def test_several_that_start_at_once_make_one_database(tmp_path: Path) -> None:
    servers = [EmbeddedServer() for _ in range(3)]
    try:
        for server in servers:
            server.wait()
    finally:
        for server in servers:
            server.stop()
    noted = tmp_path / "prefect/memo_store.toml"
    assert not noted.exists(), "a server with pages would not register its kinds of blocks"


@pytest.mark.usefixtures("used_home")
def test_it_ends_with_a_process_that_is_killed(
    tmp_path: Path, processes_gone: Callable[[Path], None]
) -> None:
    script = (
        "import os; from prefect_dvc.server import EmbeddedServer; server = EmbeddedServer(); server.wait();"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(str(server._process.pid)); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    processes_gone(tmp_path / "pids")


@pytest.mark.usefixtures("costly")
def test_a_server_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "prefect.db"
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", f"sqlite+aiosqlite:///{missing}")
    server = EmbeddedServer()
    with pytest.raises(ServerError, match=r"^no Prefect server for this run: .*unable to open database file"):
        server.wait()
    server.stop()


@pytest.mark.usefixtures("costly")
def test_a_database_of_another_version_is_named(tmp_path: Path) -> None:
    database = tmp_path / "prefect/prefect.db"
    database.parent.mkdir()
    with contextlib.closing(sqlite3.connect(database)) as made:
        made.execute("create table alembic_version (version_num varchar(32) not null)")
        made.execute("insert into alembic_version values ('ffffffffffff')")
        made.commit()
    server = EmbeddedServer()
    with pytest.raises(ServerError, match=f"{database} is of another version of Prefect; .*PREFECT_HOME"):
        server.wait()
    server.stop()


def test_a_database_that_is_locked_is_named(used_home: Path) -> None:
    database = used_home / "prefect.db"
    with contextlib.closing(sqlite3.connect(database, timeout=300)) as held:
        held.execute("begin exclusive")
        another = EmbeddedServer()
        with pytest.raises(ServerError, match=f"{database} is locked by another program; .*PREFECT_HOME"):
            another.wait()  # Prefect tries for a minute
        another.stop()


def test_a_server_that_is_slow_is_given_up(embedded: EmbeddedServer) -> None:
    with pytest.raises(ServerError, match="timed out"):
        embedded.wait(0.05)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("prefect.toml", '[api]\nurl = "http://127.0.0.1:4200/api"\n'),
        ("prefect.toml", "[server.ephemeral]\nenabled = false\n"),
        (".env", "PREFECT_API_URL=http://127.0.0.1:4200/api\n"),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "http://127.0.0.1:4200/api"\n'),
        ("prefect/profiles.toml", 'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "http://a/api"\n'),
        ("prefect/profiles.toml", 'active = "mine"\n[profiles.mine]\nPREFECT_SERVER_EPHEMERAL_ENABLED = "0"'),
    ],
)
def test_whatever_the_user_says_of_a_server_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not server_is_configured()
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(content)
    assert server_is_configured()


def test_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not server_is_configured()
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    assert server_is_configured()


def test_what_this_project_says_is_no_choice_of_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert not server_is_configured()
