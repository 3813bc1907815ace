"""Timing in turns: every side once in each repeat, so that a slow minute weighs on all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


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
        for name in in_order(names, repeat):
            began = clock()
            sides[name]()
            taken[name].append(clock() - began)
    return taken


def in_order(sides: Sequence[T], repeat: int) -> Sequence[T]:
    """The sides of a repeat, in the order in which it has them."""
    return sides if repeat % 2 == 0 else sides[::-1]


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Repeat by repeat."""
    return [a / b for a, b in zip(of, to, strict=True)]
