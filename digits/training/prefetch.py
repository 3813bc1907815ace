"""The next items are made while those before them are used."""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def prefetched(items: Iterable[T], together: int = 1) -> Generator[T, None, None]:
    """The same items in the same order, made in another thread, `together` at a time and as many ahead.

    What making an item raises is raised where it would be yielded.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(_made, iterator, together)
        whole = True
        while whole:
            made, error = coming.result()
            whole = len(made) == together
            if whole:
                coming = ahead.submit(_made, iterator, together)
            yield from made
        if error:
            raise error


def _made(iterator: Iterator[T], count: int) -> tuple[list[T], Exception | None]:
    """So many items, or fewer at the end and where one cannot be made."""
    made: list[T] = []
    try:
        for item in islice(iterator, count):
            made.append(item)
    except Exception as error:
        return made, error
    return made, None
