import threading
from collections.abc import Iterator

import pytest

from digits.training.prefetch import prefetched


def test_items_come_in_order_from_one_other_thread() -> None:
    threads = set()

    def items() -> Iterator[int]:
        for number in range(20):
            threads.add(threading.get_ident())
            yield number

    assert list(prefetched(items())) == list(range(20))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_one_item_is_made_ahead_and_no_more() -> None:
    made: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            if number == 1:
                second.set()
            yield number

    found = prefetched(items())
    assert next(found) == 0
    assert second.wait(300)
    assert made == [0, 1]


def test_an_error_arrives_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("no second")

    found = prefetched(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="no second"):
        next(found)


def test_who_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    found = prefetched(iter(range(1000)))
    next(found)
    found.close()
    assert threading.active_count() == before
