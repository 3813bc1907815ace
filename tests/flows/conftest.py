import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_dvc.workspace import Workspace
from tests.flows import interrupting, releasing, reporting, sealing, toy
from tests.flows.interrupting import Template
from tests.flows.servers import Server, copy_flows, serving
from tests.project import ROOT, MakeWorkspace, Project
from tests.shared import Once


@pytest.fixture
def own_server(server: Server, tmp_path: Path) -> Iterator[Server]:
    """A Prefect server that a test may stop, kill and set up."""
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server", server) as own:
        yield own


@pytest.fixture(scope="module")
def prefect_server(server: Server) -> Iterator[str]:
    """The address of that server, which flows in this process use, too."""
    from prefect import settings
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    with settings.temporary_settings({settings.PREFECT_API_URL: server.url}):
        yield server.url
        # What waits to be sent would be tried for minutes after the server's end, or go to another server:
        # a process has one sender of events, whatever the settings.
        for worker in (EventsWorker, APILogWorker):
            worker.drain_all(at_exit=False)


@pytest.fixture
def command_line_environment(prefect_server: str, small_path: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return kept | {"PREFECT_API_URL": prefect_server, "PYTHONPATH": f"{ROOT}{os.pathsep}{small_path}"}


@pytest.fixture
def workspace(make_workspace: MakeWorkspace) -> Workspace:
    """Of the stages of `reporting`."""
    made = make_workspace(reporting.STAGES)
    reporting.write(made.folder)
    return made


@pytest.fixture
def releasable(make_workspace: MakeWorkspace) -> Workspace:
    """A workspace in which everything has run and nothing is released."""
    made = make_workspace({})
    releasing.write(made.folder)
    releasing.run_stages(made)
    return made


@pytest.fixture(scope="session")
def small(once: Once, empty_project: Path, server: Server, small_path: str) -> Template:
    """Small stages, of which there is a checkpoint, too."""

    environment = {"PREFECT_API_URL": server.url, "PYTHONPATH": small_path}

    def build(folder: Path) -> None:
        toy.write(copy_flows(empty_project, folder / "project"))
        (folder / "home").mkdir()
        project = Project(folder / "project", folder / "home")
        project.env |= environment
        interrupting.build(project, folder)

    return interrupting.load(once("small-stages", build), toy.OUTPUTS, **environment)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealing.publish(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> Path:
    """Under the name that says which release it is."""
    return Path(shutil.copytree(published, tmp_path / published.name))
