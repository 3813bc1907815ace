"""Stages of the form `python -m MODULE`, which run in a fork of a process that has loaded the libraries."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prefect_dvc.transcript import Outcome
from prefect_dvc.workspace import Workspace
from tests.patience import limited
from tests.project import ROOT, MakeWorkspace, run_stage

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="stages run in a shell here")
LOOK = """
import json, os, sys
facts = {"argv": sys.argv[1:], "name": __name__, "folder": os.getcwd(), "stage": os.environ["DVC_STAGE"]}
facts |= {"input": sys.stdin.read(), "torch": "torch" in sys.modules, "ours": "look" in sys.modules}
print("looking")
open("facts", "w").write(json.dumps(facts))
"""


def ignore(line: str) -> None:
    pass


@pytest.fixture
def make_stage(make_workspace: MakeWorkspace) -> Callable[[str], Workspace]:
    """A workspace with a stage `look` that is this code, as a module."""

    def make(code: str) -> Workspace:
        workspace = make_workspace(
            {"look": "python -m look", "wait": "while ! test -e go; do sleep 0.1; done"}
        )
        (workspace.folder / "look.py").write_text(code)
        return workspace

    return make


def test_a_module_runs_as_it_would_by_itself(make_stage: Callable[[str], Workspace]) -> None:
    workspace = make_stage(LOOK)
    lines: list[str] = []
    assert run_stage(workspace, "look", lines.append).outcome is Outcome.RAN
    assert lines[-2:] == ["> python -m look", "looking"]
    facts = json.loads((workspace.folder / "facts").read_text())
    assert facts.pop("torch") is False, "the first stage need not wait for libraries"
    assert facts == {
        "argv": [],
        "name": "__main__",
        "folder": str(workspace.folder),
        "stage": "look",
        "input": "",
        "ours": False,
    }


@linux_only
def test_libraries_are_there_for_the_next_stage(
    make_stage: Callable[[str], Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_stage(LOOK)
    monkeypatch.delenv("PYTHONPATH")
    with workspace.lock(ignore):

        def release(line: str) -> None:
            if line.startswith("> "):
                (workspace.folder / "go").touch()

        run_stage(workspace, "wait", release)
        run_stage(workspace, "look", ignore)
    assert json.loads((workspace.folder / "facts").read_text())["torch"] is True


@linux_only
def test_nothing_is_loaded_for_a_stage_that_is_restored(
    make_stage: Callable[[str], Workspace], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "loaded_ahead.py").write_text("import pathlib; pathlib.Path('loaded').touch()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    until = "while not os.path.exists('loaded'): time.sleep(0.01)"
    workspace = make_stage(f"import os, time\n{until}\nopen('out', 'w').write(open('in').read())")
    workspace.ahead = [["loaded_ahead"]]
    dvc_yaml = {"stages": {"look": {"cmd": "python -m look", "deps": ["in"], "outs": ["out"]}}}
    (workspace.folder / "dvc.yaml").write_text(json.dumps(dvc_yaml))
    outcomes = []
    for text in ("one", "two", "one"):
        (workspace.folder / "in").write_text(text)
        (workspace.folder / "loaded").unlink(missing_ok=True)
        with workspace.lock(ignore):
            outcomes.append(run_stage(workspace, "look", ignore).outcome)
    assert outcomes == [Outcome.RAN, Outcome.RAN, Outcome.RESTORED]
    assert not (workspace.folder / "loaded").exists()


def test_a_stage_is_read_when_it_runs(make_stage: Callable[[str], Workspace]) -> None:
    workspace = make_stage("import part; print(part.NAME)")
    lines: list[str] = []
    with workspace.lock(ignore):
        for name in ("one", "two"):
            (workspace.folder / "part.py").write_text(f"NAME = {name!r}  # {'x' * len(lines)}")
            run_stage(workspace, "look", lines.append, force=True)
    assert [line for line in lines if line in ("one", "two")] == ["one", "two"]


@pytest.mark.parametrize(
    ("code", "last_line"),
    [
        ("import sys; sys.exit('error: the loss is not finite')", "error: the loss is not finite"),
        ("raise SystemExit(3)", "exited with 3"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "error: killed from outside, as the system does",
        ),
        ("import os; os._exit(7)", "exited with 7"),
    ],
)
def test_every_way_to_fail_is_a_failure(
    make_stage: Callable[[str], Workspace], code: str, last_line: str
) -> None:
    workspace = make_stage(code)
    with workspace.lock(ignore):
        result = run_stage(workspace, "look", ignore)
        assert result.outcome is Outcome.FAILED
        assert last_line in result.last_lines[-1]
        (workspace.folder / "look.py").write_text("print('fine')")
        assert run_stage(workspace, "look", ignore, force=True).outcome is Outcome.RAN


def test_without_forks_everything_is_a_process_of_its_own(make_stage: Callable[[str], Workspace]) -> None:
    workspace = make_stage(LOOK)
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from prefect_dvc import forks
forks.FORKS = False
forks.serve({{"shell": None, "containers": None, "secrets": [], "visible": None, "ahead": []}})
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workspace.folder,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        input='["repro", "--single-item", "look"]\n["repro", "--single-item", "missing"]\n',
        capture_output=True,
        text=True,
    )
    assert "looking\n" in done.stdout
    assert [line for line in done.stdout.split("\n") if line.startswith("\x1e")] == ["\x1e0", "\x1e255"]
    assert json.loads((workspace.folder / "facts").read_text())["stage"] == "look"


def test_sys_exit_0_is_no_failure(make_stage: Callable[[str], Workspace]) -> None:
    workspace = make_stage("import sys; print('no newline', end=''); sys.exit()")
    lines: list[str] = []
    assert run_stage(workspace, "look", lines.append).outcome is Outcome.RAN
    assert "no newline" in lines[-1]


def test_the_time_limit_ends_a_module_and_the_next_run_works(
    make_stage: Callable[[str], Workspace], processes_gone: Callable[[Path], None]
) -> None:
    workspace = make_stage(
        "import os, time; open('pids', 'w').write(f'{os.getpid()} {os.getppid()}'); time.sleep(100000)"
    )
    with workspace.lock(ignore):
        limit, result = limited(
            lambda limit: run_stage(workspace, "look", ignore, time_limit=limit),
            (workspace.folder / "pids").exists,
        )
        assert result.last_lines[-1] == f"error: look was stopped at its time limit of {limit} seconds"
        processes_gone(workspace.folder / "pids")
        (workspace.folder / "look.py").write_text("print('fine')")
        assert run_stage(workspace, "look", ignore, force=True).outcome is Outcome.RAN


def test_nothing_is_left_when_the_workspace_is_unlocked(
    make_stage: Callable[[str], Workspace], processes_gone: Callable[[Path], None]
) -> None:
    workspace = make_stage("import os; open('pids', 'w').write(f'{os.getpid()} {os.getppid()}')")
    with workspace.lock(ignore):
        run_stage(workspace, "look", ignore)
        with (workspace.folder / "pids").open("a") as file:
            (lane,) = workspace.lanes.waiting
            file.write(f" {lane._process.pid}")
    processes_gone(workspace.folder / "pids")


@pytest.mark.parametrize(
    "error", ["raise SystemExit(130)", "1 / 0", "raise KeyboardInterrupt", "import missing"]
)
def test_a_library_that_cannot_be_loaded_ahead_is_left_to_its_stage(tmp_path: Path, error: str) -> None:
    library = tmp_path / "libraries/broken_library"
    library.mkdir(parents=True)
    (library / "part.py").touch()
    (library / "__init__.py").write_text(f"import broken_library.part\n{error}")
    script = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(library.parent)!r}]
from prefect_dvc import forks
before = list(sys.path)
forks.load("broken_library")
print([name for name in sys.modules if "broken" in name], sys.path == before)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[] True\n", "")
