"""The page of a whole run, on a web server of this machine, in headless Chromium."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from benchmarks import page as bench
from tests.patience import PATIENCE
from tests.project import ROOT, Project

OpenPage = Callable[..., Page]
"""Opens the page, ready to draw; takes the settings of a browser's context."""


@pytest.fixture(scope="session")
def run(costly: None, request: pytest.FixtureRequest) -> Project:
    """A project whose stages have all run."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed, so the page has no runtime")
    found: Project = request.getfixturevalue("default_run")
    return found


@pytest.fixture(scope="session")
def site(run: Project) -> Path:
    """The folder of the page."""
    return run.folder / "reports/page"


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    with bench.serving(site) as address:
        yield address


@pytest.fixture
def complaints() -> list[str]:
    """What pages said on their consoles, what failed in them, and what they asked for elsewhere."""
    return []


@pytest.fixture
def open_page(browser: Browser, address: str, complaints: list[str]) -> Iterator[OpenPage]:
    """A test ends well only without complaints; one that provokes some clears the list."""
    contexts = []

    def opened(ready: bool = True, **settings: Any) -> Page:
        context = browser.new_context(**(bench.VIEWS["desktop"] | settings))
        contexts.append(context)

        def refuse(route: Route) -> None:
            complaints.append(f"asked for {route.request.url}")
            route.abort()

        context.route(lambda url: not url.startswith((address, "data:")), refuse)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        if ready:
            bench.wait_until_ready(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which finds what keeps people with disabilities out."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "web" / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=folder, check=True, timeout=PATIENCE)
    return (folder / "node_modules/axe-core/axe.min.js").read_text()
