"""The slowest first, so that no process has work left when the others have none.

A module stays in one process, as its tests share fixtures, unless tests/durations.py splits it.
"""

from collections import defaultdict
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests import durations
from tests.shared import is_worker

UNKNOWN_SECONDS = 10


class SlowestFirst(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out units in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return durations.unit_of(nodeid)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-durations", action="store_true", help="write tests/durations.json, the order of coming runs"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SlowestFirst:
    config.option.loadscopereorder = False  # the most tests first, that would be
    return SlowestFirst(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, let the slowest units come first."""
    if is_worker(config):
        seconds = durations.read().units

        def rank(item: pytest.Item) -> tuple[float, str]:
            unit = durations.unit_of(item.nodeid)
            return -seconds.get(durations.name_of(unit), UNKNOWN_SECONDS), unit

        items.sort(key=rank)  # in a unit, all stay in the order of the file


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--write-durations") and not is_worker(config):
        config.pluginmanager.register(Recorder())


class Recorder:
    """Adds up how long each test takes, with its fixtures."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        durations.write(self._seconds)
