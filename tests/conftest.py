"""In CI a skipped test is a failure, for it proves nothing. Only tests marked `gpu` may skip there."""

import os
import signal
from collections.abc import Generator

import pytest

# Each before those that import it.
pytest_plugins = ["tests.costly", "tests.shared", "tests.order", "tests.chance", "tests.fixtures"]
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")


def pytest_configure() -> None:
    """Let programs that tests start hear SIGINT, even if a shell has started this one as a background job."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
