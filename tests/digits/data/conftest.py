"""Mirrors to download from, and the folder to download to."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.digits.data.mirror import CONTENT, Server, serving

StartServer = Callable[[Server], str]


@pytest.fixture
def start() -> Iterator[StartServer]:
    """Starts a server for this test and returns its address."""
    with ExitStack() as servers:
        yield lambda server: servers.enter_context(serving(server))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where to download to. After the test, all there is are complete files under their final names."""
    folder = tmp_path / "data" / "raw"
    yield folder
    if folder.parent.exists():
        assert [path.name for path in folder.parent.iterdir()] == ["raw"]
        for path in folder.iterdir():
            assert path.read_bytes() == CONTENT[path.name]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr("digits.data.mirrors.time.sleep", pauses.append)
    return pauses
