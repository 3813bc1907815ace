"""Waiting for what will happen, however slow the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 400.0  # seconds, under the time limit of a test; who sees what he waits for waits no longer for it
T = TypeVar("T")


def until(check: Callable[[], T | None], what: str | Callable[[], str]) -> T:
    """What `check` returns once it is true; fails with `what` when patience is at its end."""
    begun = time.monotonic()
    while not (found := check()):
        waited = time.monotonic() - begun
        assert waited < PATIENCE, what if isinstance(what, str) else what()
        # Asking costs time that what is waited for could use: so the longer it takes, the less often.
        time.sleep(min(max(0.05, waited / 20), 0.5))
    return found


def limited(run: Callable[[int], T], began: Callable[[], bool]) -> tuple[int, T]:
    """What `run` returns with a time limit in which the stage has begun, however slow DVC's start is here."""
    for limit in (4, 8, 16, 32, 64, 128):
        result = run(limit)
        if began():
            return limit, result
    raise AssertionError("the stage does not begin")
