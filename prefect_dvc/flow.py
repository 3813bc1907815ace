"""The Prefect flow for any DVC project: its stages as tasks, the remote around them."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from prefect_dvc import changes, tasks
from prefect_dvc.commits import Destination, Origin, origin, publish
from prefect_dvc.git import commit
from prefect_dvc.project import ProjectError, Stage
from prefect_dvc.runs import run_stages
from prefect_dvc.schedule import OnFailure
from prefect_dvc.transcript import Outcome, StageResult, in_a_line
from prefect_dvc.workspace import Workspace


@flow(name="repro", persist_result=False)
def repro(
    targets: list[str] | None = None,
    all_pipelines: bool = False,
    single_item: bool = False,
    force: bool = False,
    jobs: Annotated[int, Field(gt=0)] | None = None,
    limits: dict[str, Annotated[float, Field(ge=0)]] | None = None,
    time_limit: Annotated[float, Field(gt=0)] | None = None,
    on_failure: OnFailure = "stop",
    remote: bool = True,
    commit_to: str | None = None,
    experiment: str | None = None,
    when_changed: bool = False,
    pools: dict[str, str] | None = None,
) -> State[Any]:
    """Run the stages of the current folder that are not up to date, as `dvc repro` would.

    Args:
        targets: stages, or `dvc.yaml` and `.dvc` files; if not given, the `dvc.yaml` of this folder.
        all_pipelines: all stages of the repository instead.
        single_item: only the targets, given what they depend on as it is.
        force: run them in any case.
        jobs: how many stages may work at once; if not given, as many as there are cores.
        limits: how much there is of what stages take while they work, such as `{"gpu": 1}`.
        time_limit: seconds for the command of each stage that has none of its own.
        on_failure: `stop`, or `skip-dependents` to go on with what does not depend on the failed stage.
        remote: fetch from DVC's default remote before, and push to it after; without one, nothing is done.
        commit_to: the branch of Git's `origin` that gets a commit of what has changed: dvc.lock, parameters
            and the outputs that Git tracks. `{run}` in it is the name of the run. Nothing is forced.
        experiment: the name of a DVC experiment to save and push, likewise.
        when_changed: first bring what is new of the branch's upstream and where imports come from; run
            nothing if there is nothing new since the last such run that completed.
        pools: work pools whose workers run these stages, by their names, such as `{"train": "gpu"}`.
    """
    log = get_run_logger().info
    workspace = Workspace(Path.cwd(), tell=log)
    how = tasks.How(force, time_limit, pools or {}, jobs, on_failure, limits or {})
    try:
        with workspace.lock(log):
            if when_changed and not changes.get(workspace.project):
                return nothing_new()
            stages = workspace.project.stages(
                targets or (), all_pipelines=all_pipelines, single_item=single_item
            )
            start = begin(workspace, stages, Destination(commit_to, experiment))
            remote = remote and workspace.project.remote() is not None
            return work(workspace, stages, how, start, remote, when_changed)
    except ProjectError as error:
        return Failed(message=f"error: {error}")


def _check_pools(workspace: Workspace, stages: list[Stage], how: tasks.How) -> None:
    names = {stage.name for stage in [*stages, *workspace.project.own]}
    names |= {name.partition("@")[0] for name in names}
    for stage, pool in how.pools.items():
        if stage not in names:
            raise ProjectError(f"pool {pool!r} is for {stage!r}, and there is no such stage")
        if not pool:
            raise ProjectError(f"the pool of stage {stage} has no name")


def nothing_new() -> State[Any]:
    """How a run ends that had no reason to run anything."""
    return Completed(name="Nothing new", message="nothing new: nothing was run", data=[])


def begin(workspace: Workspace, stages: list[Stage], to: Destination) -> Origin | None:
    """Say which commit a run of these stages starts from; returns it where the run is to make another.

    Raises:
        ProjectError: it cannot make one.
    """
    if head := commit(workspace.project.root):
        get_run_logger().info("from commit %s", head[:12])
    return origin(workspace.project, stages, to) if to != Destination() else None


def work(
    workspace: Workspace,
    stages: list[Stage],
    how: tasks.How,
    start: Origin | None,
    remote: bool,
    when_changed: bool,
    finish: Callable[[list[StageResult]], str | None] = lambda _: None,
) -> State[Any]:
    """Bring stages up to date, with all that a run does before and after them; how that ended.

    Args:
        start: what `begin` has returned.
        remote: whether there is a remote, and it is to be used.
        when_changed: whether the next run has something new to do only after a change from here on.
        finish: done before the push, where all is well; returns what to say if it fails.

    Raises:
        ProjectError: something of that is not possible.
    """
    if how.pools:
        _check_pools(workspace, stages, how)
    workspace.pull = remote and not how.force and _fetched(workspace, [stage.name for stage in stages])
    results, messages = run_stages(workspace, stages, how)
    if messages:
        return Failed(message="\n".join([*messages, *_skipped(results)]), data=results)
    problem = _changed_meanwhile(workspace, stages, results) or finish(results)
    if problem := problem or (_pushed(workspace) if remote else None):
        return Failed(message=problem)
    message = in_a_line(results) or "there are no stages"
    if start:
        message = f"{message}; {publish(workspace.project, start)}"
    if when_changed:
        changes.note(workspace.project)
    return Completed(message=message, data=results)


def _fetched(workspace: Workspace, stages: list[str]) -> bool:
    """Fetch from the remote where a stage is stale; whether stages can be taken from there."""
    if not workspace.project.stale(stages):
        return False
    state: Any = tasks.fetch(workspace, return_state=True)
    if not state.is_completed():
        get_run_logger().warning("Going on without the remote. %s", state.message)
    return bool(state.is_completed())


def _changed_meanwhile(workspace: Workspace, stages: list[Stage], results: list[StageResult]) -> str | None:
    """What to say where stages that this run brought up to date are stale again, if any."""
    if all(result.outcome is Outcome.UP_TO_DATE for result in results):
        return None
    sure = [stage.name for stage in stages if not stage.always_has_work]
    stale = workspace.project.stale(sure)
    return f"error: changed while the stages ran: {', '.join(stale)}; run it again" if stale else None


def _pushed(workspace: Workspace) -> str | None:
    """Push to the remote; why it failed, if it did."""
    state: Any = tasks.push(workspace, return_state=True)
    if state.is_completed():
        return None
    return f"{state.message}\nThe results are whole, but here alone; the next run pushes them."


def _skipped(results: list[StageResult]) -> list[str]:
    """The line that says which stages did not run for a failure, if any."""
    names = [result.stage for result in results if result.outcome is Outcome.SKIPPED]
    return [f"not run: {', '.join(names)}"] if names else []
