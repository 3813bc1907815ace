import threading
from collections.abc import Iterator

import pytest

from digits.training.prefetch import prefetched


@pytest.mark.parametrize("together", [1, 3, 5, 20, 50])
def test_items_come_in_order_from_one_other_thread(together: int) -> None:
    threads = set()

    def items() -> Iterator[int]:
        for number in range(20):
            threads.add(threading.get_ident())
            yield number

    assert list(prefetched(items(), together)) == list(range(20))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("together", [1, 3])
def test_as_many_items_are_made_ahead_as_come_together_and_no_more(together: int) -> None:
    made: list[int] = []
    ahead = threading.Event()

    def items() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            if len(made) == 2 * together:
                ahead.set()
            yield number

    found = prefetched(items(), together)
    assert next(found) == 0
    assert ahead.wait(300)
    assert made == list(range(2 * together))


@pytest.mark.parametrize("together", [1, 2, 3, 4])
def test_an_error_arrives_where_its_item_would(together: int) -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("no third")

    found = prefetched(items(), together)
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(ValueError, match="no third"):
        next(found)


def test_who_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    found = prefetched(iter(range(1000)))
    next(found)
    found.close()
    assert threading.active_count() == before
