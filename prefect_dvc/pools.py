"""A stage as a flow run of a work pool, on whatever machine has a worker of it.

Git moves the files of this workspace (a commit on no branch, in `refs/prefect-dvc/` of `origin` while the
stage works), DVC's remote the data, Prefect the work. What the stage made comes back by DVC's run cache.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas import FlowRun
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.sorting import LogSort
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.runtime import task_run
from prefect.states import Cancelling, Crashed
from prefect.types.entrypoint import EntrypointType

from prefect_dvc.elsewhere import ALIVE
from prefect_dvc.elsewhere import stage as elsewhere
from prefect_dvc.git import REMOTE, GitError, commit, git, tree, without_password
from prefect_dvc.plan import is_cached
from prefect_dvc.project import Project, ProjectError, Stage
from prefect_dvc.transcript import Log, Outcome, StageResult
from prefect_dvc.workspace import Workspace

POLL = 2.0  # seconds
SILENCE = 60.0  # seconds without a sign of life, after which a run is taken for dead
KNOWN = 10.0  # seconds in which the server hears that a task has begun, or never does
NOBODY = {f"GIT_{who}_{what}": "prefect-dvc" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def run_on_pool(
    pool: str, workspace: Workspace, stage: Stage, log: Log, *, time_limit: float | None = None
) -> StageResult:
    """Bring `stage` up to date with the help of a worker of `pool`; its log comes here, too.

    Raises:
        ProjectError: the pool, DVC's remote or Git's `origin` is missing or does not answer.
    """
    started = time.monotonic()
    project = workspace.project
    if not project.stale([stage.name]):
        return StageResult(stage.name, Outcome.UP_TO_DATE, time.monotonic() - started)
    if project.remote() is None:
        raise ProjectError(f"pool {pool} needs a remote of DVC for the data: dvc remote add --default …")
    _bring(workspace, stage, log)
    if ran := not _is_cached(project, stage):
        sent = workspace.dvc(
            ["push", "--with-deps", "--", stage.name], log, stage=f"{stage.name}: its inputs"
        )
        if sent.outcome is Outcome.FAILED:
            return replace(sent, stage=stage.name)
        with _snapshot(project) as sources:
            failed = _dispatch(
                pool, workspace, {**sources, "name": stage.name, "time_limit": time_limit}, log
            )
        if failed:
            return StageResult(stage.name, Outcome.FAILED, time.monotonic() - started, failed)
        _bring(workspace, stage, log)
        if not _is_cached(project, stage):
            raise ProjectError(
                f"{stage.name} ran on pool {pool}, but DVC's run cache has nothing of it, as of a stage"
                " without dependencies, or with outputs that are not cached; run it here"
            )
    result = workspace.run(stage, log)
    outcome = result.outcome
    if outcome in (Outcome.RESTORED, Outcome.UP_TO_DATE):  # outputs that dvc.lock had already
        outcome = Outcome.RAN if ran else Outcome.RESTORED
    return replace(result, outcome=outcome, seconds=time.monotonic() - started)


def _bring(workspace: Workspace, stage: Stage, log: Log) -> None:
    """Bring what the remote knows of runs into the cache, and the outputs of one with these inputs."""
    workspace.dvc(["fetch", "--run-cache", "--", stage.name], log, stage=f"{stage.name} from the remote")
    workspace.pull_run(stage, log)


def _is_cached(project: Project, stage: Stage) -> bool:
    return project.ask(lambda repo: is_cached(repo.stage.collect(stage.name)[0]))


@contextmanager
def _snapshot(project: Project) -> Iterator[dict[str, str]]:
    """The files of this workspace that Git does not ignore, for whoever can read `origin`."""
    try:
        top = Path(git(project.folder, "rev-parse", "--show-toplevel"))
        address = git(top, "remote", "get-url", REMOTE)
        head = commit(top)
        message = [*(["-p", head] if head else []), "-m", "A workspace of prefect-dvc"]
        made = git(top, "commit-tree", tree(top, head), *message, environment=NOBODY)
        ref = f"refs/prefect-dvc/{made}"
        git(top, "push", "--quiet", REMOTE, f"{made}:{ref}")
        try:
            # Parameters of a run are there for all to see: workers have passwords of their own.
            yield {
                "repository": without_password(address),
                "ref": ref,
                "folder": str(project.folder.relative_to(top)),
            }
        finally:
            git(top, "push", "--quiet", REMOTE, f":{ref}")
    except GitError as error:
        raise ProjectError(f"the files of this workspace cannot go to another machine: {error}") from None


def _dispatch(pool: str, workspace: Workspace, parameters: dict[str, Any], log: Log) -> tuple[str, ...]:
    """Have a worker run the stage, until its end; returns what it said last if it failed."""
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            raise ProjectError(
                f"the server has no pool {pool}; make it: prefect work-pool create --type process {pool}"
            ) from None
        deployment: Any = elsewhere.to_deployment(
            pool, work_pool_name=pool, entrypoint_type=EntrypointType.MODULE_PATH
        )
        run = _begin(client, deployment.apply(), parameters, workspace)
        log(f"{parameters['name']} waits for a worker of pool {pool}, as run {run.id}")
        try:
            state = _wait(client, run.id, workspace, lambda line: log(f"{pool}: {line}"))
        except BaseException:
            client.set_flow_run_state(run.id, Cancelling())
            raise
    if state.is_completed():
        return ()
    return tuple((state.message or f"the run on pool {pool} is {state.name}").splitlines())


def _begin(
    client: SyncPrefectClient, deployment: UUID, parameters: dict[str, Any], workspace: Workspace
) -> FlowRun:
    """Ask for a run, as part of the current task's."""
    started = time.monotonic()
    parent: UUID | None = UUID(task_run.id)
    while True:
        try:
            return client.create_flow_run_from_deployment(
                deployment, parameters=parameters, name=parameters["name"], parent_task_run_id=parent
            )
        except PrefectHTTPStatusError as error:
            # A busy server hears of the task's run some time after it has begun, or never.
            if error.response.status_code != httpx.codes.CONFLICT or parent is None:
                raise
            if time.monotonic() - started > KNOWN:
                parent = None
            workspace.lanes.sleep(POLL / 4)


def _wait(client: SyncPrefectClient, run: UUID, workspace: Workspace, log: Log) -> Any:
    told, sign, since = 0, None, time.monotonic()
    while True:
        found = client.read_flow_run(run)
        state: Any = found.state
        workspace.lanes.sleep(POLL)  # after a run has ended, its last lines take as long
        told += _tell(client, run, told, log)
        if state.is_final():
            return state
        if workspace.lanes.stopped:
            raise ProjectError("stopped")
        if (now := (state.type, found.labels.get(ALIVE))) != sign:
            sign, since = now, time.monotonic()
        elif state.is_running() and time.monotonic() - since > SILENCE:
            message = f"error: its worker has given no sign of life for {SILENCE:.0f} seconds; run it again"
            client.set_flow_run_state(run, Crashed(message=message), force=True)
            return Crashed(message=message)


def _tell(client: SyncPrefectClient, run: UUID, offset: int, log: Log) -> int:
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]))
    lines = client.read_logs(wanted, offset=offset, sort=LogSort.TIMESTAMP_ASC)
    for line in lines:
        log(line.message)
    return len(lines)
