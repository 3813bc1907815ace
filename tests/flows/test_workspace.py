import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from digits.common import locking
from digits.common.workspace import LOCK
from flows.workspace import workspace_of
from prefect_dvc import workspace as workspace_module
from prefect_dvc.project import ProjectError
from prefect_dvc.transcript import Outcome
from tests.patience import limited
from tests.processes import FAMILY
from tests.project import MakeWorkspace, run_stage

COPY = {"cmd": "echo copying && cp source copy", "deps": ["source"], "outs": ["copy"]}


def ignore(line: str) -> None:
    pass


def test_stages_come_in_the_order_of_the_file(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace({"second": "true", "first": "true", "another": "true"})
    assert [stage.name for stage in workspace.project.own] == ["second", "first", "another"]


def test_no_dvc_yaml_is_one_readable_line(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as error:
        workspace_of(tmp_path).project.stages()
    assert "\n" not in str(error.value)


def test_ran_then_up_to_date_then_restored(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace({"copy": COPY})
    source = workspace.folder / "source"
    source.write_text("one")
    assert run_stage(workspace, "copy", ignore).outcome is Outcome.RAN
    assert not workspace.project.stale(["copy"])
    assert run_stage(workspace, "copy", ignore).outcome is Outcome.UP_TO_DATE
    assert run_stage(workspace, "copy", ignore, is_stale=True).outcome is Outcome.UP_TO_DATE, "by now"
    source.write_text("two")
    assert list(workspace.project.stale(["copy"])) == ["copy"]
    assert run_stage(workspace, "copy", ignore).outcome is Outcome.RAN
    source.write_text("one")
    assert run_stage(workspace, "copy", ignore).outcome is Outcome.RESTORED
    assert (workspace.folder / "copy").read_text() == "one"


def test_dvc_tells_others_who_is_at_work_in_a_few_words(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace({"look": {"cmd": "cat .dvc/tmp/rwlock > seen", "outs": ["seen"]}})
    assert run_stage(workspace, "look", ignore).outcome is Outcome.RAN
    seen = workspace.folder / "seen"
    holder = json.loads(seen.read_text())["write"][str(seen)]["cmd"]
    assert Path(holder).name == "forks.py", "nothing but the program"


def test_who_was_killed_from_outside_is_told_why_that_may_be(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace({"kill": "echo so far; kill -KILL $$"})
    result = run_stage(workspace, "kill", ignore)
    assert result.outcome is Outcome.FAILED
    assert result.last_lines == (
        "so far",
        "error: killed from outside, as the system does to a process when memory runs out",
    )


def test_force_runs_what_is_up_to_date(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace({"copy": COPY})
    (workspace.folder / "source").write_text("one")
    run_stage(workspace, "copy", ignore)
    lines: list[str] = []
    assert run_stage(workspace, "copy", lines.append, force=True).outcome is Outcome.RAN
    assert "copying" in lines


def test_lines_arrive_while_the_stage_runs(make_workspace: MakeWorkspace) -> None:
    # The stage ends well only if somebody has read its line before its end.
    wait = "echo ready; for i in $(seq 300); do test -e read && exit 0; sleep 0.1; done; exit 1"
    workspace = make_workspace({"wait": wait})

    def log(line: str) -> None:
        if line == "ready":
            (workspace.folder / "read").touch()

    assert run_stage(workspace, "wait", log).outcome is Outcome.RAN


def test_the_log_has_both_streams_and_only_the_last_state_of_a_progress_bar(
    make_workspace: MakeWorkspace,
) -> None:
    bar = r"printf '\033[31m10 %%\r50 %%\r100 %%\033[0m\n'; echo to stderr >&2"
    workspace = make_workspace({"bar": bar})
    lines: list[str] = []
    run_stage(workspace, "bar", lines.append)
    assert lines[-2:] == ["100 %", "to stderr"]


def test_the_stage_finds_this_python_and_no_prefect_settings(
    make_workspace: MakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    workspace = make_workspace(
        {"look": "python -c 'import dvc, os; print(os.environ.get(\"PREFECT_API_KEY\"))'"}
    )
    lines: list[str] = []
    assert run_stage(workspace, "look", lines.append).outcome is Outcome.RAN
    assert lines[-1] == "None"


def test_a_failure_carries_the_stages_own_last_lines(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace({"fail": "seq 30; echo 'error: the loss is not finite' >&2; exit 3"})
    result = run_stage(workspace, "fail", ignore)
    assert result.outcome is Outcome.FAILED
    assert result.last_lines == (*(str(number) for number in range(22, 31)), "error: the loss is not finite")


def test_a_silent_failure_carries_what_dvc_says(make_workspace: MakeWorkspace) -> None:
    result = run_stage(make_workspace({"fail": "exit 3"}), "fail", ignore)
    assert result.outcome is Outcome.FAILED
    assert "exited with 3" in result.last_lines[-1]


def test_a_failure_of_dvc_itself_is_not_lost(make_workspace: MakeWorkspace) -> None:
    result = run_stage(make_workspace({"copy": COPY}), "copy", ignore)
    assert result.outcome is Outcome.FAILED
    assert "source" in result.last_lines[-1]


def test_the_time_limit_ends_every_process(
    make_workspace: MakeWorkspace, processes_gone: Callable[[Path], None]
) -> None:
    workspace = make_workspace({"family": FAMILY})
    lines: list[str] = []
    limit, result = limited(
        lambda limit: run_stage(workspace, "family", lines.append, time_limit=limit),
        lambda: "started" in lines,
    )
    assert result.outcome is Outcome.FAILED
    assert "started" in result.last_lines
    assert result.last_lines[-1] == f"error: family was stopped at its time limit of {limit} seconds"
    processes_gone(workspace.folder / "pids")


def test_an_exception_ends_every_process(
    make_workspace: MakeWorkspace, processes_gone: Callable[[Path], None]
) -> None:
    workspace = make_workspace({"family": FAMILY})

    def log(line: str) -> None:
        if line == "started":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(workspace, "family", log)
    processes_gone(workspace.folder / "pids")


def test_what_a_stage_leaves_behind_is_stopped(
    make_workspace: MakeWorkspace, processes_gone: Callable[[Path], None]
) -> None:
    workspace = make_workspace({"leave": "sleep 100000 & echo $! > pids"})
    assert run_stage(workspace, "leave", ignore).outcome is Outcome.RAN
    processes_gone(workspace.folder / "pids")


def test_a_second_pipeline_waits_for_the_first(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace({"first": "true"})
    waiting, entered = threading.Event(), threading.Event()
    lines: list[str] = []

    def wait(line: str) -> None:
        lines.append(line)
        waiting.set()

    def second() -> None:
        with workspace_of(workspace.folder).lock(wait):
            entered.set()

    thread = threading.Thread(target=second)
    with workspace.lock(ignore):
        thread.start()
        assert waiting.wait(300)
        time.sleep(0.1)
        assert not entered.is_set()
    assert entered.wait(300)
    thread.join()
    assert f"process {os.getpid()} on {socket.gethostname()}, since 20" in lines[0]


def test_what_was_loaded_ahead_is_taken_up_and_nobody_is_let_in(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace({"nothing": "true"})
    with workspace.load_ahead():
        with pytest.raises(locking.BusyError):
            locking.take(workspace.folder / LOCK, locking.Holder("a test", 1, "here", ""))
        other = workspace_of(workspace.folder)
        with other.lock(ignore):
            (loaded,) = other.lanes.waiting
            assert run_stage(other, "nothing", ignore).outcome is Outcome.RAN
            assert other.lanes.waiting == [loaded]
            other.credentials = {"KEY": "value"}
            assert run_stage(other, "nothing", ignore, force=True).outcome is Outcome.RAN
            assert loaded._process.poll() is not None, "it would not know of the credentials"
    locking.take(workspace.folder / LOCK, locking.Holder("a test", 1, "here", "")).close()


def test_what_was_loaded_ahead_and_not_used_is_stopped(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace({"nothing": "true"})
    with workspace.load_ahead():
        (unused,) = workspace_module._ahead.values()
    assert unused.lane._process.poll() is not None
    locking.take(workspace.folder / LOCK, locking.Holder("a test", 1, "here", "")).close()


def test_nothing_is_loaded_ahead_where_somebody_is_at_work(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace({"nothing": "true"})
    with workspace_of(workspace.folder).lock(ignore), workspace.load_ahead():
        assert not workspace_module._ahead


def test_in_a_folder_that_is_no_workspace_nothing_is_made(
    make_workspace: MakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_workspace({"nothing": "true"})
    below = Path("below")
    below.mkdir()
    monkeypatch.chdir(below)
    workspace = workspace_of(Path.cwd())
    workspace.mend(ignore)
    with workspace.load_ahead():
        pass
    with pytest.raises(ProjectError, match="below is no DVC workspace"), workspace.lock(ignore):
        pass
    assert not list(Path().iterdir())
