"""The steps of a pipeline as Prefect tasks.

They return states instead of raising: a traceback of these files tells nobody why a stage failed.
"""

import time
from collections.abc import Callable
from typing import Any

import httpx
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.artifacts import publish as publish_reports
from flows.release import publish as publish_release
from flows.restore import advice
from flows.transcript import Outcome, StageResult
from flows.workspace import ModelArtifact, Workspace, WorkspaceError


def _task(**options: Any) -> Callable[..., Any]:
    # DVC is the only cache: a result that Prefect kept could disagree with it.
    return task(cache_policy=NO_CACHE, persist_result=False, **options)


@_task()
def run_stage(workspace: Workspace, stage: str, force: bool, time_limit: float | None) -> State[Any]:
    """Bring one stage up to date and publish its reports. Ends as Failed with the stage's own last lines."""
    logger = get_run_logger()
    started = time.time()
    try:
        result = workspace.run(stage, logger.info, force=force, time_limit=time_limit)
    except WorkspaceError as error:
        result = StageResult(stage, Outcome.FAILED, time.time() - started, (f"error: {error}",))
    failed = result.outcome is Outcome.FAILED
    try:
        publish_reports(stage, workspace.root, not_before=started if failed else 0.0)
    except httpx.HTTPError as error:  # the reports are in the workspace, and the server may come back
        logger.warning("The reports of %s are not shown in the UI: %s", stage, error)
    if failed:
        return _failed(result, *advice(workspace.root, stage))
    return Completed(name=result.outcome.capitalize(), message=str(result), data=result)


@_task(task_run_name="fetch", retries=2, retry_delay_seconds=10)
def fetch(workspace: Workspace) -> State[Any]:
    """Bring what the remote has of this workspace's outputs, and of all runs, into the cache."""
    result = workspace.dvc(["fetch", "--run-cache"], get_run_logger().info)
    return _failed(result) if result.outcome is Outcome.FAILED else Completed(message=str(result))


@_task(task_run_name="push", retries=2, retry_delay_seconds=10)
def push(workspace: Workspace) -> State[Any]:
    """Send the outputs and the run cache to the remote, and see that they are there."""
    log = get_run_logger().info
    result = workspace.dvc(["push-runs"], log, stage="push")
    if result.outcome is Outcome.FAILED:
        return _failed(result)
    # DVC warns of files that are missing here, and calls it a success.
    if workspace.dvc(["status", "--cloud", "--quiet"], log).outcome is Outcome.FAILED:
        return Failed(message="push failed:\nerror: the remote lacks some outputs; see `dvc status --cloud`")
    return Completed(message=str(result))


@_task(task_run_name="release")
def release(workspace: Workspace, model: ModelArtifact) -> State[Any]:
    """Publish `models/release/`."""
    try:
        published = publish_release(workspace.root, model, get_run_logger().info)
    except WorkspaceError as error:
        return Failed(message=f"error: {error}")
    return Completed(name="Published" if published.is_new else "Up to date", data=published)


def _failed(result: StageResult, *advice: str) -> State[Any]:
    return Failed(message="\n".join([f"{result.stage} failed:", *result.last_lines, *advice]))
