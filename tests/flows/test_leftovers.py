"""What a killed `dvc` leaves of its own files is no obstacle to the next run."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from dvc.repo import Repo  # type: ignore[import-untyped]

from prefect_dvc import leftovers
from prefect_dvc.transcript import Outcome
from prefect_dvc.workspace import Workspace
from tests.project import MakeWorkspace, copy_with, run_stage

COPY = {"cmd": "cp source copy", "deps": ["source"], "outs": ["copy"]}


@pytest.fixture(scope="module")
def copied(empty_project: Path, small_path: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project in which `copy` has run; read-only."""
    made = copy_with({"copy": COPY}, empty_project, tmp_path_factory.mktemp("copied") / "project")
    (made.folder / "source").write_text("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        patch.setenv("PYTHONPATH", small_path)
        assert run_stage(made, "copy", print).outcome is Outcome.RAN
    return made.folder


@pytest.fixture
def make(copied: Path, tmp_path: Path, small_path: str, monkeypatch: pytest.MonkeyPatch) -> MakeWorkspace:
    """Makes a workspace in which `copy` has run, with these stages besides."""
    monkeypatch.setenv("PYTHONPATH", small_path)

    def make(others: dict[str, object]) -> Workspace:
        made = copy_with({"copy": COPY, **others}, copied, tmp_path / "project")
        monkeypatch.chdir(made.folder)
        return made

    return make


@pytest.fixture
def workspace(make: MakeWorkspace) -> Workspace:
    """A workspace in which `copy` has run."""
    return make({})


def locked(pid: int, root: Path) -> Path:
    """DVC's list of locked paths, in which a process of this number writes `copy` and reads `source`."""
    holder = {"pid": pid, "cmd": "dvc repro --single-item copy"}
    path = root / ".dvc/tmp/rwlock"
    path.write_text(
        json.dumps({"write": {str(root / "copy"): holder}, "read": {str(root / "source"): [holder]}})
    )
    return path


def keep_lock_file(workspace: Workspace) -> None:
    """As at a sudden end: nobody comes back to forget it."""
    lock_files = leftovers.LockFiles(workspace.folder)
    lock_files.kept("dvc.lock", lambda keep: keep()).__enter__()


def kept(workspace: Workspace) -> list[Path]:
    return list((workspace.folder / leftovers.KEPT).glob("*"))


@pytest.mark.parametrize("rest", [0, 1, 10, 25, -40, -1])
def test_instead_of_a_lock_file_that_is_cut_comes_the_one_before(workspace: Workspace, rest: int) -> None:
    lock_file = workspace.folder / "dvc.lock"
    before = lock_file.read_bytes()
    keep_lock_file(workspace)
    lock_file.write_bytes(before[:rest])
    with workspace.lock(print):
        assert not workspace.project.stale(["copy"])
    assert lock_file.read_bytes() == before
    assert not kept(workspace)


def test_the_first_lock_file_is_removed_where_it_is_cut_and_the_run_cache_has_the_stage(
    workspace: Workspace,
) -> None:
    lock_file = workspace.folder / "dvc.lock"
    whole = lock_file.read_bytes()
    lock_file.unlink()
    keep_lock_file(workspace)
    lock_file.write_bytes(whole[:-20])
    with workspace.lock(print):
        assert not lock_file.exists()
        assert run_stage(workspace, "copy", print).outcome is Outcome.RESTORED
    assert lock_file.read_bytes() == whole


def test_a_lock_file_that_may_be_whole_is_restored_by_the_run_cache(workspace: Workspace) -> None:
    keep_lock_file(workspace)
    (workspace.folder / "source").write_text("two")
    workspace.dvc(["repro"], print)
    after = (workspace.folder / "dvc.lock").read_bytes()
    with workspace.lock(print):
        assert run_stage(workspace, "copy", print).outcome is Outcome.RESTORED
    assert (workspace.folder / "dvc.lock").read_bytes() == after


def test_somebody_elses_work_on_the_lock_file_stays_and_so_does_the_copy(workspace: Workspace) -> None:
    keep_lock_file(workspace)
    for merge in (b"schema: '2.0'\n<<<<<<< HEAD\nstages:\n", b"\xff\xfe"):
        (workspace.folder / "dvc.lock").write_bytes(merge)
        workspace.mend(print)
        assert (workspace.folder / "dvc.lock").read_bytes() == merge
        assert kept(workspace)


CUT = """import os, pathlib, sys, time
said, rest = sys.argv[1:]
written = pathlib.Path("dvc.lock")
while said == "nothing" and "other:" not in written.read_text():
    time.sleep(0.05)
print(said, flush=True)
written.write_bytes(written.read_bytes()[:int(rest)])
os.kill(os.getppid(), 9)  # DVC, for the shell has become this process
"""


@pytest.fixture
def cut_by(make: MakeWorkspace) -> Callable[[str], Workspace]:
    """Makes a workspace in which `copy` has run, with a stage that cuts dvc.lock and kills its DVC."""

    def cut_by(arguments: str) -> Workspace:
        cut = {"cmd": f"exec {sys.executable} cut.py {arguments}", "outs": ["made"]}
        made = make({"cut": cut, "other": COPY | {"cmd": "touch b", "outs": ["b"]}})
        (made.folder / "cut.py").write_text(CUT)
        return made

    return cut_by


@pytest.mark.parametrize("arguments", ["\"Updating lock file 'dvc.lock'\" -35", "nothing... -6"])
def test_where_dvc_alone_is_killed_while_it_writes_the_next_finds_the_lock_file_of_before(
    cut_by: Callable[[str], Workspace], arguments: str
) -> None:
    workspace = cut_by(arguments)
    before = (workspace.folder / "dvc.lock").read_bytes()
    lines: list[str] = []
    with workspace.lock(print):
        assert run_stage(workspace, "cut", lines.append).outcome is Outcome.FAILED
        assert (workspace.folder / "dvc.lock").read_bytes() == before
    assert lines[-1] == "dvc.lock was being written when DVC was killed; taking the one before that"
    assert not kept(workspace)


def test_what_another_stage_has_made_stays_where_a_dvc_is_killed_that_did_not_write(
    cut_by: Callable[[str], Workspace],
) -> None:
    workspace = cut_by("nothing 1000000")
    with workspace.lock(print), ThreadPoolExecutor() as pool:
        killed = pool.submit(run_stage, workspace, "cut", print)
        assert run_stage(workspace, "other", print).outcome is Outcome.RAN
        assert killed.result().outcome is Outcome.FAILED
    assert run_stage(workspace, "other", print).outcome is Outcome.UP_TO_DATE


def test_nothing_is_kept_when_a_stage_has_ended(workspace: Workspace) -> None:
    (workspace.folder / "source").write_text("two")
    run_stage(workspace, "copy", print)
    assert not kept(workspace)


def test_locks_of_the_dead_are_removed_also_when_their_number_is_taken_again(workspace: Workspace) -> None:
    path = locked(os.getpid(), workspace.folder)
    os.utime(path, (time.time() - 1e6, time.time() - 1e6))  # written before this process began
    (workspace.folder / "source").write_text("two")
    lines: list[str] = []
    with workspace.lock(lines.append):
        assert run_stage(workspace, "copy", lines.append).outcome is Outcome.RAN
    assert lines[0] == "removing DVC's locks of processes that are dead"


def test_locks_of_another_container_do_not_count_for_a_process_here_of_the_same_number(
    workspace: Workspace,
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        time.sleep(0.1)
        for number in (other.pid, os.getpid()):
            path = locked(number, workspace.folder)
            workspace.mend(print)
            assert json.loads(path.read_text()) == {"write": {}, "read": {}}
        other.kill()


def test_locks_stay_while_a_dvc_is_at_work_anywhere(workspace: Workspace) -> None:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    path = locked(dead.pid, workspace.folder)
    before = path.read_text()
    with Repo(str(workspace.folder)) as repo, repo.lock:
        workspace.mend(print)
    assert path.read_text() == before
    workspace.mend(print)
    assert path.read_text() != before


@contextmanager
def another_dvc(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", "input()", "repro", "--single-item", "copy"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
        time.sleep(0.1)
        locked(other.pid, root)
        yield other


def test_locks_of_the_living_stay_and_are_waited_for(workspace: Workspace) -> None:
    (workspace.folder / "source").write_text("two")
    with another_dvc(workspace.folder) as other:
        lines: list[str] = []

        def tell(line: str) -> None:
            lines.append(line)
            other.kill()
            other.wait()

        workspace.tell = tell
        with workspace.lock(print):
            assert run_stage(workspace, "copy", print).outcome is Outcome.RAN
    (line,) = lines
    assert line.endswith(f"(PID {other.pid}): dvc repro --single-item copy; waiting for its end")


def test_a_command_of_dvc_waits_for_another(workspace: Workspace) -> None:
    with another_dvc(workspace.folder) as other:
        lines: list[str] = []

        def log(line: str) -> None:
            lines.append(line)
            if line == "waiting for its end":
                other.kill()
                other.wait()

        assert workspace.dvc(["repro", "--force", "copy"], log, stage="copy").outcome is Outcome.RAN
    assert any(f"(PID {other.pid}): dvc repro --single-item copy" in line for line in lines)


def test_a_list_of_locks_that_was_being_written_is_removed(workspace: Workspace) -> None:
    (workspace.folder / ".dvc/tmp/rwlock").write_text('{"write": {"/a/b": {"pid": 1')
    (workspace.folder / "source").write_text("two")
    with workspace.lock(print):
        assert run_stage(workspace, "copy", print).outcome is Outcome.RAN
