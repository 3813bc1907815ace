"""Stages, and what goes before and after them, as Prefect tasks.

They return states instead of raising: a traceback of these files tells nobody why a stage failed.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from prefect_dvc import artifacts, lineage
from prefect_dvc.options import StageOptions
from prefect_dvc.project import ProjectError, Stage
from prefect_dvc.restore import outputs_differ
from prefect_dvc.schedule import OnFailure
from prefect_dvc.transcript import Outcome, StageResult
from prefect_dvc.workspace import Workspace

Publish = Callable[[Workspace, Stage, float], None]
"""Shows what a stage has made; only files that are not older than a time as in `os.stat`."""


@dataclass(frozen=True)
class How:
    """How the stages of a run are run."""

    force: bool = False
    """Whether those that are up to date run, too."""
    time_limit: float | None = None
    """Seconds for the command of a stage that has no limit of its own."""
    pools: Mapping[str, str] = field(default_factory=dict)
    """Work pools by the names of stages, before those that `dvc.yaml` names."""
    jobs: int | None = None
    """How many may work at once; if not given, as many as this process may use cores."""
    on_failure: OnFailure = "stop"
    """`stop` begins no more after a failure, `skip-dependents` goes on with all that does not depend on it.
    What is at work is not ended in either case."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """How much there is of what stages take while they work (see `StageOptions.resources`)."""
    publish: Publish = artifacts.publish
    advice: str = "`prefect-dvc restore` puts the outputs of before back"
    """Told where a failed stage leaves others than dvc.lock says."""


def _without_no_traceback(record: logging.LogRecord) -> bool:
    """Prefect logs a task that returns Failed as an exception, where there is none: `NoneType: None`."""
    if record.exc_info == (None, None, None):
        record.exc_info = None
    return True


logging.getLogger("prefect.task_runs").addFilter(_without_no_traceback)


def dvc_task(**options: Any) -> Callable[..., Any]:
    """A Prefect task that keeps no results: DVC is the only cache, with which another could disagree."""
    return task(cache_policy=NO_CACHE, persist_result=False, **options)


@dvc_task()
def run_stage(
    workspace: Workspace, stage: Stage, options: StageOptions, how: How, is_stale: bool
) -> State[Any]:
    """Bring one stage up to date and show its reports. Ends as Failed with the stage's own last lines.

    Args:
        is_stale: whether DVC has said so when the run began.
    """
    logger = get_run_logger()
    for attempt in range(options.retries + 1):
        if attempt:
            pause = f"again in {options.retry_delay:g} s"
            logger.warning("%s failed; %s (%d of %d)", stage.name, pause, attempt, options.retries)
            workspace.lanes.sleep(options.retry_delay)
        started = time.time()
        result = _attempt(workspace, stage, options, how, is_stale, logger.info)
        if result.outcome is not Outcome.FAILED:
            break
    failed = result.outcome is Outcome.FAILED
    try:
        how.publish(workspace, stage, started if failed else 0.0)
    except httpx.HTTPError as error:  # the reports are in the workspace, and the server may come back
        logger.warning("The reports of %s are not shown in the UI: %s", stage.name, error)
    if failed:
        return failure(result, *([how.advice] if outputs_differ(workspace.project, stage) else []))
    if result.outcome in (Outcome.RAN, Outcome.RESTORED) and not stage.is_source:
        try:
            lineage.note(workspace.project, stage, result.outcome)
        except (ProjectError, OSError) as error:
            logger.warning("The run of %s is not noted for its lineage: %s", stage.name, error)
    return Completed(name=result.outcome.capitalize(), message=str(result), data=result)


def _attempt(
    workspace: Workspace,
    stage: Stage,
    options: StageOptions,
    how: How,
    is_stale: bool,
    log: Callable[[str], None],
) -> StageResult:
    started = time.monotonic()
    limit = options.time_limit or how.time_limit
    pool = how.pools.get(stage.name) or how.pools.get(stage.name.partition("@")[0]) or options.pool
    try:
        if pool and how.force:
            raise ProjectError(
                f"pool {pool} runs nothing by force: what comes back is a run with the same inputs"
            )
        if pool and not stage.is_source:
            from prefect_dvc.pools import run_on_pool  # needs this module

            return run_on_pool(pool, workspace, stage, log, time_limit=limit)
        return workspace.run(stage, log, force=how.force, time_limit=limit, is_stale=is_stale)
    except ProjectError as error:
        seconds = time.monotonic() - started
        return StageResult(stage.name, Outcome.FAILED, seconds, (f"error: {error}",))


@dvc_task()
def skip_stage(stage: Stage, failed: str) -> State[Any]:
    """A stage that does not run, because another has failed."""
    return Cancelled(name="Skipped", message=f"skipped, as {failed} failed")


@dvc_task(task_run_name="fetch", retries=2, retry_delay_seconds=10)
def fetch(workspace: Workspace) -> State[Any]:
    """Bring what the remote has of this workspace's outputs, and of all runs, into the cache."""
    result = workspace.dvc(["fetch", "--run-cache"], get_run_logger().info)
    return failure(result) if result.outcome is Outcome.FAILED else Completed(message=str(result))


@dvc_task(task_run_name="push", retries=2, retry_delay_seconds=10)
def push(workspace: Workspace) -> State[Any]:
    """Send the outputs and the run cache to the remote, and see that they are there."""
    log = get_run_logger().info
    result = workspace.dvc(["push-runs"], log, stage="push")
    if result.outcome is Outcome.FAILED:
        return failure(result)
    # DVC warns of files that are missing here, and calls it a success.
    if workspace.dvc(["status", "--cloud", "--quiet"], log).outcome is Outcome.FAILED:
        return Failed(message="push failed:\nerror: the remote lacks some outputs; see `dvc status --cloud`")
    return Completed(message=str(result))


def failure(result: StageResult, *advice: str) -> State[Any]:
    """The state of what has failed, with its last lines."""
    return Failed(message="\n".join([f"{result.stage} failed:", *result.last_lines, *advice]))
