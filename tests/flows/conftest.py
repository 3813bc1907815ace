import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.workspace import Workspace

ROOT = Path(__file__).parents[2]
MakeWorkspace = Callable[[dict[str, object]], Workspace]


@pytest.fixture(scope="session")
def empty_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=root, check=True)
    shutil.copy(ROOT / "params.yaml", root)
    return root


@pytest.fixture
def make_workspace(empty_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeWorkspace:
    """A new DVC project with these stages; a stage that is only a command stands as a string."""

    def make(stages: dict[str, object]) -> Workspace:
        root = tmp_path / "project"
        shutil.copytree(empty_project, root)
        written = {
            name: {"cmd": stage} if isinstance(stage, str) else stage for name, stage in stages.items()
        }
        (root / "dvc.yaml").write_text(json.dumps({"stages": written}))  # JSON is YAML
        monkeypatch.chdir(root)
        return Workspace(root)

    return make


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """The address of a Prefect server that flows in this process use, too."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield PREFECT_API_URL.value() or ""


@pytest.fixture
def processes_gone() -> Callable[[Path], None]:
    """Waits until no process whose number stands in the file is alive."""

    def alive(number: int) -> bool:
        status = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True
        ).stdout
        return bool(status.strip()) and not status.startswith("Z")

    def wait(file: Path) -> None:
        numbers = [int(word) for word in file.read_text().split()]
        assert numbers
        deadline = time.monotonic() + 30
        while any(alive(number) for number in numbers):
            assert time.monotonic() < deadline, f"still alive: {[n for n in numbers if alive(n)]}"
            time.sleep(0.05)

    return wait


@pytest.fixture
def command_line_environment(prefect_server: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return kept | {"PREFECT_API_URL": prefect_server, "PYTHONPATH": str(ROOT)}
