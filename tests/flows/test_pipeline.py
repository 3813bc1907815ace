import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_dvc.workspace import Workspace
from tests.flows.output import own_tracebacks
from tests.patience import PATIENCE, limited, until
from tests.processes import FAMILY
from tests.project import MakeWorkspace

PNG = b"\x89PNG\r\n\x1a\n not much of a picture"
METRICS = {"accuracy": 0.9465, "loss": 0.172}
PARITY = {
    "passed": True,
    "class_flips": 0,
    "largest_difference": 1.5e-6,
    "configurations": [{"provider": "cpu", "batch_size": 64, "class_flips": 0}],
}
STAGES: dict[str, object] = {
    "train": {"cmd": "echo epoch 1; cp params.yaml model", "params": ["train.epochs"], "outs": ["model"]},
    "evaluate": {
        "cmd": "mkdir -p reports; cp kept/metrics.json kept/mistakes.png reports",
        "deps": ["model"],
        "outs": ["reports/metrics.json", "reports/mistakes.png"],
    },
    "verify": {
        "cmd": "mkdir -p reports; cp kept/parity.json reports",
        "deps": ["model"],
        "outs": ["reports/parity.json"],
    },
}


@pytest.fixture
def workspace(make_workspace: MakeWorkspace) -> Workspace:
    made = make_workspace(STAGES)
    kept = made.folder / "kept"
    kept.mkdir()
    (kept / "metrics.json").write_text(json.dumps(METRICS))
    (kept / "mistakes.png").write_bytes(PNG)
    (kept / "parity.json").write_text(json.dumps(PARITY))
    return made


def run(**parameters: Any) -> Any:
    from flows.pipeline import pipeline

    return pipeline(**parameters, return_state=True)


def task_runs(flow_state: Any) -> list[Any]:
    """Those that the server knows of, which learns of them through events, a moment later."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[flow_state.state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        return client.read_task_runs(flow_run_filter=chosen)


def task_states(flow_state: Any) -> dict[str, tuple[str | None, str]]:
    """What the server says: the name and type of each task's state, in the order of their start."""

    def ended() -> list[Any]:
        runs = task_runs(flow_state)
        return runs if all(run.state and run.state.is_final() for run in runs) else []

    runs = until(ended, "the server does not know how the tasks ended")
    runs.sort(key=lambda run: str(run.start_time))
    return {run.name: (run.state.name, run.state.type.value) for run in runs if run.state}


def artifacts(flow_state: Any, *keys: str) -> list[Any]:
    """Those that this run has made; other tests use the server, too."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    run = flow_state.state_details.flow_run_id
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        )
    by_key = {artifact.key: artifact for artifact in found}
    return [by_key[key] for key in keys]


@pytest.mark.usefixtures("prefect_server")
def test_every_stage_is_a_task_and_a_second_run_finds_all_up_to_date(workspace: Workspace) -> None:
    first = run()
    assert [str(result.outcome) for result in first.result()] == ["ran"] * 3
    assert task_states(first) == dict.fromkeys(STAGES, ("Ran", "COMPLETED"))
    second = run()
    assert [str(result.outcome) for result in second.result()] == ["up to date"] * 3
    assert second.message == ", ".join(f"{name} up to date" for name in STAGES)
    forced = run(stages=["verify"], force=True)
    assert task_states(forced) == {"verify": ("Ran", "COMPLETED")}
    assert task_runs(second) == [], "there was nothing that a task could tell"


@pytest.mark.usefixtures("prefect_server")
def test_reports_become_artifacts(workspace: Workspace) -> None:
    metrics, mistakes, parity = artifacts(run(), "metrics", "mistakes", "parity")
    assert metrics.type == "table"
    assert json.loads(str(metrics.data)) == [{"metric": key, "value": METRICS[key]} for key in METRICS]
    assert mistakes.type == "image"
    assert str(mistakes.data) == "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert parity.type == "markdown"
    assert "Runtimes agree" in str(parity.data)
    assert "| cpu | 64 | 0 |" in str(parity.data)


@pytest.mark.usefixtures("prefect_server")
def test_output_is_in_the_log_of_its_task(workspace: Workspace) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

    state = run(stages=["train"])
    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        lines = until(
            lambda: [log for log in client.read_logs(chosen) if log.message == "epoch 1"], "no such line"
        )
    assert lines[0].task_run_id is not None


@pytest.mark.usefixtures("prefect_server")
def test_a_failed_stage_fails_its_task_and_the_flow(make_workspace: MakeWorkspace) -> None:
    make_workspace(
        {"train": "echo 'error: the loss is not finite' >&2; exit 1", "evaluate": "touch evaluated"}
    )
    state = run(jobs=1)
    assert state.is_failed()
    assert state.message == "train failed:\nerror: the loss is not finite\nnot run: evaluate"
    assert task_states(state) == {"train": ("Failed", "FAILED"), "evaluate": ("Skipped", "CANCELLED")}
    assert not Path("evaluated").exists()


def started() -> bool:
    """Whether the whole family of processes is at work."""
    return Path("pids").exists() and len(Path("pids").read_text().split()) == 3


@pytest.mark.usefixtures("prefect_server")
def test_the_time_limit_fails_the_flow(
    make_workspace: MakeWorkspace, processes_gone: Callable[[Path], None]
) -> None:
    make_workspace({"train": FAMILY})
    limit, state = limited(lambda limit: run(time_limit=limit), started)
    assert state.is_failed()
    assert f"time limit of {limit} seconds" in state.message
    processes_gone(Path("pids"))


@pytest.mark.usefixtures("prefect_server")
def test_overrides_are_written_and_used(workspace: Workspace) -> None:
    run(stages=["train"])
    state = run(stages=["train"], overrides={"train.epochs": 3})
    assert [str(result.outcome) for result in state.result()] == ["ran"]
    assert "epochs: 3" in Path("model").read_text()
    assert "# Every knob" in Path("params.yaml").read_text()


@pytest.mark.usefixtures("prefect_server")
def test_a_stage_that_changes_under_the_pipeline_fails_it(make_workspace: MakeWorkspace) -> None:
    make_workspace(
        {
            "train": {"cmd": "cp source model", "deps": ["source"], "outs": ["model"]},
            "evaluate": {"cmd": "echo changed > source", "deps": ["model"]},
        }
    )
    Path("source").write_text("first")
    state = run()
    assert state.is_failed()
    assert "changed while the stages ran: train" in state.message


@pytest.mark.usefixtures("prefect_server")
def test_a_deployment_with_impossible_parameters_fails_without_work(workspace: Workspace) -> None:
    before = Path("params.yaml").read_text()
    for impossible, named in (
        ({"overrides": {"train.epochs": -1}}, "train.epochs"),
        ({"stages": []}, "stages is empty"),
    ):
        state = run(**impossible)
        assert state.is_failed()
        assert named in state.message
    assert Path("params.yaml").read_text() == before
    assert not Path("model").exists()


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
