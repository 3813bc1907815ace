import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.servers import Server, serving
from tests.project import ROOT
from tests.shared import Once


@pytest.fixture(scope="session")
def server(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The Prefect server of all tests that neither stop it nor set it up; its log is of this process."""

    def build(folder: Path) -> None:
        started = Server(folder)
        started.start_for_all()
        (folder / "port").write_text(str(started.port))

    folder = once("server", build)
    return Server(tmp_path_factory.mktemp("server"), int((folder / "port").read_text()))


@pytest.fixture
def own_server(costly: None, tmp_path: Path) -> Iterator[Server]:
    """A Prefect server that a test may stop, kill and set up."""
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server") as server:
        yield server


@pytest.fixture(scope="session")
def prefect_server(server: Server) -> Iterator[str]:
    """The address of that server, which flows in this process use, too."""
    from prefect import settings

    with settings.temporary_settings({settings.PREFECT_API_URL: server.url}):
        yield server.url


@pytest.fixture
def command_line_environment(prefect_server: str, small_path: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return kept | {"PREFECT_API_URL": prefect_server, "PYTHONPATH": f"{ROOT}{os.pathsep}{small_path}"}
