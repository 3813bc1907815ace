"""What a killed `dvc` leaves of its own files is no obstacle to the next run."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows import leftovers
from flows.transcript import Outcome
from flows.workspace import Workspace
from tests.project import MakeWorkspace

COPY = {"cmd": "cp source copy", "deps": ["source"], "outs": ["copy"]}


@pytest.fixture
def workspace(make_workspace: MakeWorkspace) -> Workspace:
    """A workspace in which `copy` has run."""
    made = make_workspace({"copy": COPY})
    (made.root / "source").write_text("one")
    assert made.run("copy", print).outcome is Outcome.RAN
    return made


def locked(pid: int, root: Path) -> Path:
    """DVC's list of locked paths, in which a process of this number writes `copy` and reads `source`."""
    holder = {"pid": pid, "cmd": "dvc repro --single-item copy"}
    path = root / ".dvc/tmp/rwlock"
    path.write_text(
        json.dumps({"write": {str(root / "copy"): holder}, "read": {str(root / "source"): [holder]}})
    )
    return path


@pytest.mark.parametrize("rest", [0, 1, 10])
def test_instead_of_a_lock_file_that_cannot_be_read_comes_the_one_before(
    workspace: Workspace, rest: int
) -> None:
    lock_file = workspace.root / "dvc.lock"
    before = lock_file.read_bytes()
    leftovers.keep_lock_file(workspace.root)
    lock_file.write_bytes(before[:rest])
    with workspace.lock(print):
        assert workspace.stale(["copy"]) == []
    assert lock_file.read_bytes() == before
    assert not (workspace.root / leftovers.KEPT).exists()


def test_a_lock_file_that_is_whole_stays(workspace: Workspace) -> None:
    leftovers.keep_lock_file(workspace.root)
    (workspace.root / "source").write_text("two")
    workspace.dvc(["repro"], print)
    after = (workspace.root / "dvc.lock").read_bytes()
    workspace.mend(print)
    assert (workspace.root / "dvc.lock").read_bytes() == after


def test_nothing_is_kept_when_a_stage_has_ended(workspace: Workspace) -> None:
    (workspace.root / "source").write_text("two")
    workspace.run("copy", print)
    assert not (workspace.root / leftovers.KEPT).exists()


def test_locks_of_the_dead_are_removed_also_when_their_number_is_taken_again(workspace: Workspace) -> None:
    path = locked(os.getpid(), workspace.root)
    os.utime(path, (time.time() - 1e6, time.time() - 1e6))  # written before this process began
    (workspace.root / "source").write_text("two")
    lines: list[str] = []
    with workspace.lock(lines.append):
        assert workspace.run("copy", lines.append).outcome is Outcome.RAN
    assert lines[0] == "removing DVC's locks of processes that are dead"


@contextmanager
def another_dvc(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        time.sleep(0.1)
        locked(other.pid, root)
        yield other


def test_locks_of_the_living_stay_and_are_waited_for(workspace: Workspace) -> None:
    (workspace.root / "source").write_text("two")
    with another_dvc(workspace.root) as other:
        lines: list[str] = []

        def tell(line: str) -> None:
            lines.append(line)
            other.kill()
            other.wait()

        workspace.tell = tell
        with workspace.lock(print):
            assert workspace.run("copy", print).outcome is Outcome.RAN
    (line,) = lines
    assert line.endswith(f"(PID {other.pid}): dvc repro --single-item copy; waiting for its end")


def test_a_command_of_dvc_waits_for_another(workspace: Workspace) -> None:
    with another_dvc(workspace.root) as other:
        lines: list[str] = []

        def log(line: str) -> None:
            lines.append(line)
            if line == "waiting for its end":
                other.kill()
                other.wait()

        assert workspace.dvc(["repro", "--force", "copy"], log, stage="copy").outcome is Outcome.RAN
    assert any(f"(PID {other.pid}): dvc repro --single-item copy" in line for line in lines)


def test_a_list_of_locks_that_was_being_written_is_removed(workspace: Workspace) -> None:
    (workspace.root / ".dvc/tmp/rwlock").write_text('{"write": {"/a/b": {"pid": 1')
    (workspace.root / "source").write_text("two")
    with workspace.lock(print):
        assert workspace.run("copy", print).outcome is Outcome.RAN
