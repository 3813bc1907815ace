"""The next item is made while the one before it is used."""

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(items: Iterable[T]) -> Generator[T, None, None]:
    """The same items in the same order, each made in a thread of its own, one ahead.

    What making an item raises is raised where it would be yielded.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = ahead.submit(next, iterator, end)
            yield item  # type: ignore[misc]
