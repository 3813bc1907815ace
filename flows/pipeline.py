"""The Prefect flow: the stages of `dvc.yaml` as tasks, the remote around them, the release at the end."""

from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import deployment, flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from digits.common.parameters_file import ParameterError
from digits.parameters import schema as parameters
from flows import events, tasks
from flows.release import Release
from flows.request import RequestError, check, containers, secret, with_recipe
from flows.run_records import recorded, settle
from flows.transcript import StageResult
from flows.workspace import Workspace, WorkspaceError


@flow(
    name="pipeline",
    persist_result=False,
    on_failure=[events.failed],
    on_completion=[events.recovered],
)
def pipeline(
    stages: list[str] | None = None,
    force: bool = False,
    overrides: dict[str, Any] | None = None,
    recipe: str | None = None,
    time_limit: Annotated[float, Field(gt=0)] | None = None,
    runner: Literal["process", "docker"] = "process",
    image: str = "digits:latest",
    memory: str | None = None,
    cpus: float | None = None,
    remote: bool = True,
    credentials: str | None = None,
    accuracy_drop: Annotated[float, Field(ge=0, le=1)] = 0.005,
) -> State[Any]:
    """Run the stages of the current directory's `dvc.yaml` that are not up to date, one after the other.

    Args:
        stages: which of them, all if not given. Earlier stages are then taken as they are.
        force: run them in any case.
        overrides: dotted keys of `params.yaml` and new values, written into it as `dvc exp run -S` does.
        recipe: a file in `recipes/`, by its name, whose values are written likewise, before the overrides.
        time_limit: seconds for each stage.
        runner: `docker` gives each stage a container of its own.
        image: of these containers.
        memory: that each of them may use, such as `4g`.
        cpus: that each of them may use, such as 1.5.
        remote: fetch from DVC's default remote before, and push to it after; without one, nothing is done.
        credentials: the Prefect Secret block with the remote's environment variables, a JSON object; if not
            given, they are those of this process.
        accuracy_drop: an event tells when the accuracy is this much lower than that of the best release.
    """
    log, root = get_run_logger().info, Path.cwd()
    try:
        overrides = with_recipe(root, recipe, overrides or {})
        with recorded(root, flow_run.id if deployment.id else None):
            workspace = Workspace(root, containers(runner, image, memory, cpus), tell=log)
            with workspace.lock(log):
                settle(root, log)
                selected = check(workspace, stages, overrides, time_limit)
                for key, value in parameters.write(root / "params.yaml", overrides).items():
                    log(f"params.yaml has {key}: {value} now")
                remote = remote and workspace.remote() is not None
                workspace.credentials = secret(credentials if remote else None)
                return _run_all(workspace, selected, force, time_limit, remote, accuracy_drop)
    except (RequestError, WorkspaceError, ParameterError) as error:
        return Failed(message=f"error: {error}")


def _run_all(
    workspace: Workspace,
    stages: list[str],
    force: bool,
    time_limit: float | None,
    remote: bool,
    accuracy_drop: float,
) -> State[Any]:
    if remote and not force and workspace.stale(stages):
        workspace.pull = True
        fetched: Any = tasks.fetch(workspace, return_state=True)
        if not fetched.is_completed():
            workspace.pull = False
            get_run_logger().warning("Going on without the remote. %s", fetched.message)
    results: list[StageResult] = []
    for stage in stages:
        run = tasks.run_stage.with_options(name=stage, task_run_name=stage)
        state: Any = run(workspace, stage, force, time_limit, return_state=True)
        if not state.is_completed():
            return Failed(message=state.message)
        results.append(state.result())
    stale = workspace.stale(stages)
    if stale:
        return Failed(message=f"error: changed while the pipeline ran: {', '.join(stale)}; run it again")
    model = workspace.model()
    if model and stages == workspace.stage_names():
        state = tasks.release(workspace, model, return_state=True)
        if not state.is_completed():
            return Failed(message=state.message)
        published: Release = state.result()
        best = published.best_before
        if best and published.is_new and published.accuracy < best.accuracy - accuracy_drop:
            events.accuracy_dropped(published, best, accuracy_drop)
    if remote:
        state = tasks.push(workspace, return_state=True)
        if not state.is_completed():
            return Failed(
                message=f"{state.message}\nThe results are whole, but here alone; the next run pushes them."
            )
    message = ", ".join(f"{result.stage} {result.outcome}" for result in results)
    return Completed(message=message, data=results)
