"""The Prefect flow: the stages of `dvc.yaml` as tasks, the remote around them, the release at the end."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import deployment, flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from digits.common.parameters_file import ParameterError
from digits.common.stage import BRING_BACK
from digits.parameters import schema as parameters
from flows import events
from flows.artifacts import publish as publish_reports
from flows.release import Release
from flows.release import publish as publish_release
from flows.request import RequestError, check, containers, secret, with_recipe
from flows.run_records import recorded, settle
from flows.workspace import ModelArtifact, model_of, workspace_of
from prefect_dvc import changes
from prefect_dvc.commits import Destination
from prefect_dvc.flow import begin, nothing_new, work
from prefect_dvc.project import ProjectError
from prefect_dvc.schedule import OnFailure
from prefect_dvc.tasks import How, dvc_task
from prefect_dvc.transcript import Outcome, StageResult
from prefect_dvc.workspace import Workspace


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
    jobs: Annotated[int, Field(gt=0)] | None = None,
    on_failure: OnFailure = "stop",
    commit_to: str | None = None,
    experiment: str | None = None,
    when_changed: bool = False,
    pools: dict[str, str] | None = None,
) -> State[Any]:
    """Run the stages of the current directory's `dvc.yaml` that are not up to date.

    Args:
        stages: which of them, all if not given. Earlier stages are then taken as they are.
        force: run them in any case.
        overrides: dotted keys of `params.yaml` and new values, written into it as `dvc exp run -S` does.
        recipe: a file in `recipes/`, by its name, whose values are written likewise, before the overrides.
        time_limit: seconds for the command of each stage.
        runner: `docker` gives each stage a container of its own.
        image: of these containers.
        memory: that each of them may use, such as `4g`.
        cpus: that each of them may use, such as 1.5.
        remote: fetch from DVC's default remote before, and push to it after; without one, nothing is done.
        credentials: the Prefect Secret block with the remote's environment variables, a JSON object; if not
            given, they are those of this process.
        accuracy_drop: an event tells when the accuracy is this much lower than that of the best release.
        jobs: how many stages may work at once; if not given, as many as there are cores.
        on_failure: `stop`, or `skip-dependents` to go on with what does not depend on the failed stage.
        commit_to: the branch of Git's `origin` that gets a commit of what has changed: dvc.lock, params.yaml
            and the tracked reports. `{run}` in it is the name of the run. Nothing is forced.
        experiment: the name of a DVC experiment to save and push, likewise.
        when_changed: first bring what is new of the branch's upstream; run nothing if there is nothing new
            since the last such run that completed.
        pools: work pools whose workers run these stages, by their names, such as `{"train": "gpu"}`.
    """
    log, root = get_run_logger().info, Path.cwd()
    try:
        overrides = with_recipe(root, recipe, overrides or {})
        with recorded(root, flow_run.id if deployment.id else None):
            workspace = workspace_of(root, containers(runner, image, memory, cpus), log)
            with workspace.lock(log):
                settle(root, log)
                if when_changed and not changes.get(workspace.project):
                    return nothing_new()
                selected = check(workspace, stages, overrides, time_limit)
                start = begin(workspace, selected, Destination(commit_to, experiment))
                for key, value in parameters.write(root / "params.yaml", overrides).items():
                    log(f"params.yaml has {key}: {value} now")
                remote = remote and workspace.project.remote() is not None
                workspace.credentials = secret(credentials if remote else None)
                how = How(
                    force,
                    time_limit,
                    pools or {},
                    jobs,
                    on_failure,
                    publish=publish_reports,
                    advice=BRING_BACK,
                )
                # Read before anything runs, and only where it may be published.
                model = model_of(workspace.project) if selected == workspace.project.own else None
                finish = partial(_publish, workspace, model, accuracy_drop)
                return work(workspace, selected, how, start, remote, when_changed, finish)
    except (RequestError, ProjectError, ParameterError) as error:
        return Failed(message=f"error: {error}")
    except OSError as error:
        if not error.filename:  # of the network: the traceback tells more
            raise
        return Failed(message=f"error: {error.filename}: {error.strerror}")


def _publish(
    workspace: Workspace, model: ModelArtifact | None, accuracy_drop: float, results: list[StageResult]
) -> str | None:
    """Publish the release, if there is a model for it; why that failed, if it did."""
    if not model:
        return None
    # Where nothing ran, it has nothing to tell that a task would be worth.
    ran = any(result.outcome is not Outcome.UP_TO_DATE for result in results)
    state: Any = release(workspace, model, return_state=True) if ran else release.fn(workspace, model)
    if not state.is_completed():
        return str(state.message)
    published: Release = state.result()
    best = published.best_before
    if best and published.is_new and published.accuracy < best.accuracy - accuracy_drop:
        events.accuracy_dropped(published, best, accuracy_drop)
    return None


@dvc_task(task_run_name="release")
def release(workspace: Workspace, model: ModelArtifact) -> State[Any]:
    """Publish `models/release/`."""
    try:
        published = publish_release(workspace.folder, model, get_run_logger().info)
    except ProjectError as error:
        return Failed(message=f"error: {error}")
    return Completed(name="Published" if published.is_new else "Up to date", data=published)
