"""Random moments: drawn anew in every run, the same in all its processes, and again with DIGITS_SEED=…"""

import os
import random
from collections.abc import Generator

import pytest

SEED = "DIGITS_SEED"
LARGEST = 10**9


def pytest_configure() -> None:
    """Draw the seed, unless the user or the process that started this one has."""
    os.environ.setdefault(SEED, str(random.SystemRandom().randrange(LARGEST)))


def pytest_report_header() -> str:
    """Say it before the first test."""
    return f"random moments: {SEED}={os.environ[SEED]}"


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Draws what a test leaves to chance; does not depend on the tests before it."""
    return random.Random(f"{os.environ[SEED]} {request.node.name}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say how to repeat a test that failed."""
    report = yield
    if report.failed and "chance" in getattr(item, "fixturenames", ()):
        report.sections.append(("random moments", f"again: {SEED}={os.environ[SEED]}"))
    return report
