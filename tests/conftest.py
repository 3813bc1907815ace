"""In CI a skipped test is a failure, for it proves nothing. Only tests marked `gpu` may skip there."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import docker
import pytest
from playwright.sync_api import Browser

from benchmarks import page
from digits.runtimes._browser import find_browser
from flows.workspace import Workspace
from tests.containers import engine_with_image
from tests.project import ROOT, MakeWorkspace, Project, copy_project

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")


def fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that says why the test did not run."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"In CI only tests marked `gpu` may be skipped. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that skips itself in CI; an expected failure (xfail) is no skip."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and not item.get_closest_marker("gpu"):
        fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that skips as a whole in CI; a module of GPU tests sets `pytestmark` instead."""
    report = yield
    if IN_CI and report.skipped:
        fail_skipped(report)
    return report


@pytest.fixture(scope="module")
def engine() -> Generator[docker.DockerClient]:
    """The Docker engine of this machine; skips where there is none, or no image."""
    with contextlib.closing(engine_with_image()) as engine:
        yield engine


# Not for longer than a module: while it is there, nothing else in this process can use asyncio.
@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """Headless Chromium."""
    chromium = find_browser()
    if not chromium:
        pytest.skip("there is no Chromium or Chrome on this machine")
    with page.launched(chromium) as browser:
        yield browser


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A fresh checkout in which nothing has run."""
    folder = tmp_path_factory.mktemp("fresh")
    return copy_project(folder / "project", folder / "home")


@pytest.fixture(scope="session")
def raw_data(fresh: Project) -> Path:
    """The folder of the four original files."""
    fresh.dvc("repro", "download")
    return fresh.folder / "data/raw"


@pytest.fixture(scope="session")
def web_runtime(fresh: Project) -> Path:
    """The folder of onnxruntime-web's files."""
    fresh.dvc("repro", "web_runtime")
    return fresh.folder / "data/web_runtime"


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
