"""Timing in turns: every side once in each repeat, so that a slow minute weighs on all of them."""

import time
from collections.abc import Callable, Mapping, Sequence


def in_turns(
    sides: Mapping[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
    warm: bool = True,
) -> dict[str, list[float]]:
    """What each side takes by `clock`, in seconds, one value for each repeat.

    The order is turned round from repeat to repeat, so that none always follows the same one.

    Args:
        warm: whether each is called once before, uncounted: the first would load and allocate for all.
    """
    if warm:
        for side in sides.values():
            side()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for repeat in range(repeats):
        for name in names if repeat % 2 == 0 else names[::-1]:
            began = clock()
            sides[name]()
            taken[name].append(clock() - began)
    return taken


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Repeat by repeat."""
    return [a / b for a, b in zip(of, to, strict=True)]
