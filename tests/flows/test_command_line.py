"""The command line, `python -m flows`: what it refuses, what it says, and how it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prefect_dvc.workspace import Workspace
from tests.flows.output import own_tracebacks
from tests.patience import PATIENCE
from tests.processes import FAMILY
from tests.project import MakeWorkspace


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--stages", "trian"], "trian"),
        (["--set", "train.epoch=1"], "train.epoch"),
        (["--set", "train.epochs=many"], "train.epochs"),
        (["--set", "train.epochs=-1"], "train.epochs"),
        (["--set", "train.epochs"], "KEY=VALUE"),
        (["--set", "train.epochs=[1"], "YAML"),
        (["--recipe", "fastest"], "there is no recipe 'fastest'"),
        (["--time-limit", "0"], "time limit"),
        (["--jobs", "0"], "0 is not above 0"),
        (["--time-limit", "soon"], "soon"),
        (["--fast"], "--fast"),
    ],
)
def test_impossible_requests_are_one_line_and_no_work(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    from flows.__main__ import main

    before = Path("params.yaml").read_text()
    try:
        code: object = main(arguments)
    except SystemExit as end:
        code = end.code
    assert code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert named in captured.err
    assert Path("params.yaml").read_text() == before
    assert not Path("model").exists()


@pytest.mark.parametrize(("file", "content"), [("dvc.lock", "{"), ("dvc.yaml", "stages: [")])
def test_a_broken_file_of_dvc_is_one_line_and_no_work(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], file: str, content: str
) -> None:
    from flows.__main__ import main

    Path(file).write_text(content)
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert file in captured.err
    assert not Path("model").exists()


def command_line(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)


def test_the_command_line_ends_with_a_summary(
    workspace: Workspace, command_line_environment: dict[str, str]
) -> None:
    done = command_line(command_line_environment)
    assert done.returncode == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "accuracy 94.65%" in lines
    assert "loss 0.1720" in lines
    assert "parity passed; 1 configurations; 0 class flips; largest difference 1.5e-06" in lines
    assert "metrics reports/metrics.json" in lines
    assert any(line.startswith("train ") and line.endswith(" s ran") for line in lines)


def test_a_failure_on_the_command_line_shows_no_traceback(
    make_workspace: MakeWorkspace, command_line_environment: dict[str, str]
) -> None:
    make_workspace({"train": "echo 'error: no such device' >&2; exit 1"})
    done = command_line(command_line_environment)
    assert done.returncode == 1
    assert done.stderr.endswith("train failed:\nerror: no such device\n")
    assert "NoneType" not in done.stderr
    assert not own_tracebacks(done.stderr)


def test_a_server_that_does_not_answer_is_one_line(
    workspace: Workspace, command_line_environment: dict[str, str]
) -> None:
    nobody = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    done = command_line(command_line_environment | nobody)
    assert done.returncode == 1
    assert "error: Prefect: " in done.stderr
    assert not own_tracebacks(done.stderr)
    assert not Path("model").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_flow_is_the_end_of_the_stage(
    make_workspace: MakeWorkspace,
    command_line_environment: dict[str, str],
    processes_gone: Callable[[Path], None],
    number: signal.Signals,
) -> None:
    make_workspace({"train": FAMILY})
    command = [sys.executable, "-m", "flows"]
    with subprocess.Popen(
        command, env=command_line_environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any(line.endswith("- started\n") for line in process.stderr)
        os.kill(process.pid, number)
        rest = process.stderr.read()
        assert process.wait() != 0
    assert not own_tracebacks(rest)
    processes_gone(Path("pids"))


def test_an_empty_prefect_home_and_no_server_will_do(
    workspace: Workspace, command_line_environment: dict[str, str], tmp_path: Path
) -> None:
    environment = command_line_environment | {"PREFECT_HOME": str(tmp_path / "prefect")}
    del environment["PREFECT_API_URL"]
    done = command_line(environment, "--stages", "train", "--set", "train.epochs=2")
    assert done.returncode == 0, done.stderr
    assert "epochs: 2" in Path("model").read_text()
    assert "train" in done.stdout
