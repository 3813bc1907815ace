"""What is called growth: of what stays, not of a start or of a moment."""

import pytest

from benchmarks.endurance import Sample, growth, table


def sampled(memory: list[int]) -> list[Sample]:
    return [
        Sample(runs * 10, bytes_, 5_000_000, 30, 30, 1_000_000, 2_000 * runs, 100)
        for runs, bytes_ in enumerate(memory, start=1)
    ]


def test_a_leak_is_what_each_run_adds() -> None:
    leaking = [100_000_000 + 40_000 * runs for runs in range(10, 210, 10)]
    assert growth(sampled(leaking))["server_memory"] == pytest.approx(40_000)


def test_neither_a_start_nor_a_peak_is_a_leak() -> None:
    memory = [60_000_000, 90_000_000, 99_000_000, 100_000_000, 100_000_000] + [100_000_000] * 15
    memory[11] = 400_000_000
    found = growth(sampled(memory))
    assert found["server_memory"] == 0
    assert found["workspace"] == pytest.approx(200)


def test_the_table_says_what_there_was_and_what_a_run_adds() -> None:
    rows = table(sampled([100_000_000 + 40_000 * runs for runs in range(10, 210, 10)])).splitlines()
    assert rows[0] == "| after | 10 runs | 200 runs | a run adds |"
    assert "| server memory | 100.4 MB | 108 MB | 40.0 kB |" in rows
