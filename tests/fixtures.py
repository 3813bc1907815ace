"""What tests of all kinds use."""

import contextlib
import gc
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import psutil
import pytest

from digits.parameters.schema import write
from prefect_dvc.workspace import Workspace
from tests.containers import engine_with_image
from tests.flows.servers import Committed, Server
from tests.patience import PATIENCE, until
from tests.project import ROOT, MakeWorkspace, Project, copy_project, copy_with, without_libraries
from tests.shared import Once
from tests.small import make_small

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def pytest_collection_finish() -> None:
    """Let `waste` look only at what tests make, not at the libraries."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def waste() -> Iterator[None]:
    """Finds what a test forgot to close within this test, before it fails another."""
    yield
    gc.collect()


@pytest.fixture(scope="module", autouse=True)
def waste_of_a_module() -> Iterator[None]:
    """The same for a module; the libraries that it loaded stay, and need not be looked at again."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def engine(costly: None) -> Generator[docker.DockerClient]:
    """The Docker engine of this machine; skips where there is none, or no image."""
    with contextlib.closing(engine_with_image()) as engine:
        yield engine


# Not for longer than a module: while it is there, nothing else in this process can use asyncio.
@pytest.fixture(scope="module")
def browser(costly: None) -> Generator["Browser"]:
    """Headless Chromium."""
    # Here, as PyTorch comes with them, and a pytest that only hands out tests needs none.
    from playwright.sync_api import expect

    from benchmarks import page
    from digits.runtimes._browser import find_browser

    chromium = find_browser()
    if not chromium:
        pytest.skip("there is no Chromium or Chrome on this machine")
    expect.set_options(timeout=PATIENCE * 1000)
    with page.launched(chromium) as browser:
        yield browser


@pytest.fixture(scope="session")
def raw_data(once: Once) -> Path:
    """The folder of the four original files; read-only, as it is everybody's."""

    def build(folder: Path) -> None:
        copy_project(folder / "project", folder / "home").dvc("repro", "download")

    return once("raw", build) / "project/data/raw"


@pytest.fixture(scope="session")
def default_run(once: Once) -> Project:
    """A checkout after its first run through Prefect; read-only. `said` beside it is what the run printed."""

    def build(folder: Path) -> None:
        project = copy_project(folder / "project", folder / "home")
        (folder / "said").write_text(project.run(sys.executable, "-m", "flows").stdout)
        project.run("git", "add", "--all")
        project.run("git", "commit", "--quiet", "--allow-empty", "--message=results")

    folder = once("default-run", build)
    return Project(folder / "project", folder / "home")


@pytest.fixture(scope="session")
def small_run(once: Once, raw_data: Path, server: Server) -> Project:
    """The same on a tenth of the images, where what is tested depends neither on all nor on long training."""

    def build(folder: Path) -> None:
        project = copy_project(folder / "project", folder / "home")
        project.remove_data()
        make_small(project, raw_data)
        write(project.folder / "params.yaml", {"solvers.sgd.lr": 0.1})
        project.env["PREFECT_API_URL"] = server.url
        # Side by side, each loads the libraries for itself.
        project.run(sys.executable, "-m", "flows", "--jobs", "1")
        project.run("git", "add", "--all")
        project.run("git", "commit", "--quiet", "--message=results")

    folder = once("small-run", build)
    return Project(folder / "project", folder / "home")


@pytest.fixture(scope="session")
def server(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The Prefect server of all tests that neither stop it nor set it up; its log is of this process."""

    def build(folder: Path) -> None:
        started = Server(folder)
        started.start_for_all()
        started.keep_new(folder / "new")
        (folder / "port").write_text(str(started.port))

    def committed() -> Committed:
        def build(folder: Path) -> None:
            (folder / "committed.json").write_text(json.dumps(found.commit()))

        read: Committed = json.loads((once("committed", build) / "committed.json").read_text())
        return read

    folder = once("server", build)
    found = Server(tmp_path_factory.mktemp("server"), int((folder / "port").read_text()))
    found.new, found.committed = folder / "new", committed
    return found


@pytest.fixture
def used_home(server: Server, tmp_path: Path) -> Path:
    """A Prefect home in which a server has been before: to make its database takes five seconds."""
    return shutil.copytree(server.new, tmp_path / "prefect")


@pytest.fixture(scope="session")
def empty_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=root, check=True)
    shutil.copy(ROOT / "params.yaml", root)
    return root


@pytest.fixture(scope="session")
def small_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The PYTHONPATH of small projects."""
    return without_libraries(tmp_path_factory.mktemp("libraries") / "none")


@pytest.fixture
def make_workspace(
    empty_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_path: str
) -> MakeWorkspace:
    """A new DVC project with these stages; a stage that is only a command stands as a string."""
    monkeypatch.setenv("PYTHONPATH", small_path)

    def make(stages: dict[str, object]) -> Workspace:
        made = copy_with(stages, empty_project, tmp_path / "project")
        monkeypatch.chdir(made.folder)
        return made

    return make


@pytest.fixture
def processes_gone() -> Callable[[Path], None]:
    """Waits until no process whose number stands in the file is alive."""

    def alive(number: int) -> bool:
        try:
            return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def wait(file: Path) -> None:
        numbers = [int(word) for word in file.read_text().split()]
        assert numbers
        until(lambda: not any(alive(number) for number in numbers), f"some of {numbers} are still alive")

    return wait
