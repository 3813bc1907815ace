import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_dvc.workspace import Workspace
from tests.flows.reporting import METRICS, PNG, STAGES
from tests.patience import limited, until
from tests.processes import FAMILY
from tests.project import MakeWorkspace


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
