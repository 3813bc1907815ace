"""Real projects of small stages, on a real Prefect server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECTS = Path(__file__).parent / "projects"


@pytest.fixture(scope="session")
def costly() -> None:
    """Who depends on it uses a server, or runs whole projects."""


@pytest.fixture(scope="session")
def embedded(costly: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A Prefect server, until the end of the process: Prefect sends its last lines then."""
    from prefect_dvc.server import EmbeddedServer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        server = EmbeddedServer()
    server.wait()
    return server


@pytest.fixture(scope="module")
def server(embedded: Any) -> Iterator[dict[str, str]]:
    """The settings with which that server is used, and flows in this process use it, too."""
    from prefect import settings
    from prefect.events.worker import EventsWorker

    used = {settings.PREFECT_API_URL: embedded.url, settings.PREFECT_API_AUTH_STRING: embedded.key}
    with settings.temporary_settings(used):
        yield embedded.settings
        # A process has one sender of events, whatever the settings; the next module may use another server.
        EventsWorker.drain_all(at_exit=False)


class Project:
    """A copy of one of the projects, in which the test is."""

    def __init__(self, name: str, folder: Path, empty: Path) -> None:
        """Make `folder` this project, in a copy of an `empty` one."""
        self.folder = folder
        shutil.copytree(empty, folder)
        shutil.copytree(PROJECTS / name, folder, dirs_exist_ok=True)

    def run(self, *command: str, **options: Any) -> str:
        """The output of a command, which must succeed."""
        done = subprocess.run(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )
        assert done.returncode == 0, done.stdout
        return str(done.stdout)

    def publish(self, origin: Path) -> None:
        """Commit all of it on the branch `main`, and make `origin` a bare repository that has it."""
        self.run("git", "init", "--quiet", "--bare", str(origin))
        for command in (
            "checkout -qb main",
            "add .",
            "commit -qm first",
            f"remote add origin {origin}",
            "push -qu origin main",
        ):
            self.run("git", *command.split())

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def write(self, path: str, content: str) -> None:
        (self.folder / path).write_text(content)

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()


@pytest.fixture(scope="session")
def copy(costly: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes a copy of a project."""
    folders = {scm: tmp_path_factory.mktemp("empty") for scm in (True, False)}
    subprocess.run(["git", "init", "--quiet"], cwd=folders[True], check=True)
    for scm, folder in folders.items():  # once, for it takes as long as a test
        command = [sys.executable, "-m", "dvc", "init", "--quiet", *([] if scm else ["--no-scm"])]
        subprocess.run(command, cwd=folder, check=True)
    return lambda name, folder, scm=True: Project(name, folder, folders[scm])


@pytest.fixture
def make(copy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a copy of a project and goes there."""

    def make(name: str, folder: str = "project", scm: bool = True) -> Project:
        project: Project = copy(name, tmp_path / folder, scm)
        monkeypatch.chdir(project.folder)
        return project

    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "somebody@example.com")
    # As in an environment that the user has activated, with the package in it.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return make
