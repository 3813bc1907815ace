"""The slowest first, so that no process has work left when the others have none.

A module stays in one process, as its tests share fixtures; those of SPLIT share them between all processes,
so each of their tests goes to whoever is free. How long everything takes is in durations.json; renew it with
`make test ARGS=--write-durations` when the end of a run has one process at work alone.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.shared import is_worker

FILE = Path(__file__).with_name("durations.json")
SPLIT = {
    "tests/flows/test_containers.py",
    "tests/flows/test_deployment.py",
    "tests/flows/test_interruptions.py",
    "tests/flows/test_pipeline.py",
    "tests/stages/test_real_mnist.py",
    "tests/test_image.py",
}
UNKNOWN_SECONDS = 10.0


def unit_of(nodeid: str) -> str:
    """What is given to a process as a whole: a module, or a test of one that may be split."""
    module = nodeid.partition("::")[0]
    return nodeid if module in SPLIT else module


def _name(unit: str) -> str:
    return unit.partition("[")[0]  # the values of a test take about the same time


class SlowestFirst(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out units in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


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
        seconds = json.loads(FILE.read_text()) if FILE.exists() else {}

        def rank(item: pytest.Item) -> tuple[float, str]:
            unit = unit_of(item.nodeid)
            return -seconds.get(_name(unit), UNKNOWN_SECONDS), unit

        items.sort(key=rank)  # in a unit, all stay in the order of the file


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--write-durations") and not is_worker(config):
        config.pluginmanager.register(Recorder())


class Recorder:
    """Adds up how long units take."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[unit_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        FILE.write_text(json.dumps(summary(self._seconds), indent=2) + "\n")


def summary(seconds: dict[str, float]) -> dict[str, float]:
    """The slowest first, in whole seconds; of tests that differ in their values, the average."""
    together: dict[str, list[float]] = defaultdict(list)
    for unit, taken in seconds.items():
        together[_name(unit)].append(taken)
    averages = {name: _average(all_of_it) for name, all_of_it in together.items()}
    order = sorted(averages, key=lambda name: -averages[name])
    return {name: round(averages[name]) for name in order}


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)
