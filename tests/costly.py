"""Which tests are costly: those that use a server, a container, a browser or a copy of the whole project.

All of these come from fixtures that depend on `costly`, so a test is known by its fixtures. `make test-quick`
runs the others, except for those that are known to be long.
"""

from collections.abc import Generator

import pytest

from tests import durations

_permitted = False  # whether the test at work is costly


@pytest.fixture(scope="session")
def costly() -> None:
    """Makes whoever depends on it, however indirectly, a costly test."""


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the costly and the long ones."""
    long = set(durations.read().long)
    for item in items:
        if durations.name_of(item.nodeid) in long:
            item.add_marker("long")
        if "costly" in getattr(item, "fixturenames", ()):
            item.add_marker("costly")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note whether this test may use what is costly."""
    global _permitted
    _permitted = item.get_closest_marker("costly") is not None
    try:
        return (yield)
    finally:
        _permitted = False


def check(what: str) -> None:
    """Fail where a test that counts as quick uses this."""
    assert _permitted, f"{what} is for tests with the fixture `costly`, or one that depends on it"
