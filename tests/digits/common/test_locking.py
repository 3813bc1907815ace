import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from digits.common import locking
from digits.common.locking import BusyError, Holder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "lock"


ME = Holder.process("the test", os.getpid())


def test_who_comes_second_is_told_of_the_first(path: Path) -> None:
    with locking.take(path, ME):
        expected = (
            rf"the test of process {os.getpid()} on .*, since 20.* is at work in this workspace; try again"
        )
        with pytest.raises(BusyError, match=expected):
            locking.take(path, ME)
    locking.take(path, ME).close()


def test_waiting_says_for_whom_and_ends_with_the_holder(path: Path) -> None:
    said: list[str] = []
    entered = threading.Event()

    def second() -> None:
        with locking.take(path, Holder.process("the second", 1), said.append):
            entered.set()

    thread = threading.Thread(target=second)
    with locking.take(path, ME):
        thread.start()
        while not said:
            time.sleep(0.01)
        assert not entered.wait(0.1)
    assert entered.wait(300)
    thread.join()
    assert said == [f"{ME} is at work in this workspace; waiting for its end"]
    assert str(locking.read(path)).startswith("the second of process 1 ")


def test_a_dead_holder_holds_nothing(path: Path) -> None:
    script = (
        "import os, pathlib; from digits.common import locking;"
        f"lock = locking.take(pathlib.Path({str(path)!r}), locking.Holder.process('the dead', os.getpid()));"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3]).returncode == -9
    assert str(locking.read(path)).startswith("the dead of process ")
    with locking.take(path, ME):
        assert locking.read(path) == ME


def test_a_lock_is_kept_until_another_process_ends(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        with locking.take(path, Holder.process("the other", other.pid)) as lock:
            keeper = locking.hold_for(other.pid, lock)
        with pytest.raises(BusyError, match="the other of process"):
            locking.take(path, ME)
        other.kill()
        other.wait()
        locking.take(path, ME, wait=lambda _: None).close()
        assert keeper.wait(300) == 0


def test_an_unreadable_note_is_no_obstacle(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("not JSON")
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another process is at work"):
            locking.take(path, ME)
    with locking.take(path, ME):
        assert locking.read(path) == ME
