"""The measurement of streamed training: the memory it reads, and the table it prints."""

import os
import sys

import pytest

from benchmarks.streaming import Epoch, memory, table


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_memory_of_a_process_has_its_two_parts() -> None:
    before = memory(os.getpid())
    assert before["VmRSS"] >= before["RssAnon"] + before["RssFile"] > 10_000_000
    held = b"\x01" * 50_000_000
    assert memory(os.getpid())["RssAnon"] - before["RssAnon"] == pytest.approx(len(held), rel=0.1)
    assert memory(2**22 + 1) == {}


def test_the_table_has_a_line_for_each_epoch() -> None:
    peaks = {"RssAnon": 10**9, "RssFile": 2 * 10**8, "VmRSS": 11 * 10**8}
    lines = table([Epoch(60_000, True, 3.25, 41234.0, peaks)]).splitlines()
    assert lines[2:] == ["| 60,000 | while training | 41,234 | 3.2 s | 1,000 MB | 200 MB | 1,100 MB |"]
