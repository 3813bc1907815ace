"""The measurement of streamed training: the memory it reads, and the table it prints."""

import subprocess
import sys

import pytest

from benchmarks.streaming import Epoch, memory, table

HOLD = """
print(flush=True)
input()
held = b"1" * 50_000_000
print(len(held), flush=True)
input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_memory_of_a_process_has_its_two_parts() -> None:
    # another process: this one may give memory back at any moment, that of other tests
    with subprocess.Popen(
        [sys.executable, "-I", "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        before = memory(process.pid)
        print(file=process.stdin, flush=True)
        held = int(process.stdout.readline())
        after = memory(process.pid)
        process.stdin.close()
    assert before["VmRSS"] >= before["RssAnon"] + before["RssFile"] > 1_000_000
    assert after["RssAnon"] - before["RssAnon"] == pytest.approx(held, rel=0.1)
    assert memory(2**22 + 1) == {}


def test_the_table_has_a_line_for_each_epoch() -> None:
    peaks = {"RssAnon": 10**9, "RssFile": 2 * 10**8, "VmRSS": 11 * 10**8}
    lines = table([Epoch(60_000, True, 3.25, 41234.0, peaks)]).splitlines()
    assert lines[2:] == ["| 60,000 | while training | 41,234 | 3.2 s | 1,000 MB | 200 MB | 1,100 MB |"]
