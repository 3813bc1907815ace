"""The stages of a run, one after the other or side by side."""

import os
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.objects import State

from prefect_dvc import idle
from prefect_dvc.options import read_options
from prefect_dvc.project import Stage
from prefect_dvc.schedule import Schedule
from prefect_dvc.tasks import How, run_stage, skip_stage
from prefect_dvc.transcript import Outcome, StageResult
from prefect_dvc.workspace import Workspace


def run_stages(
    workspace: Workspace, stages: Sequence[Stage], how: How
) -> tuple[list[StageResult], list[str]]:
    """Bring stages up to date, each as a task of the current flow run, once those before it are done.

    Where all are up to date already, there are no tasks: the run itself says so.

    Args:
        workspace: locked by the caller.

    Returns:
        How each ended, in the order in which they did; the messages of those that failed.

    Raises:
        ProjectError: the options of a stage are not possible.
    """
    jobs = how.jobs or len(os.sched_getaffinity(0))
    options = read_options(stages)
    has_work = how.force or any(stage.always_has_work for stage in stages)
    stale = {} if has_work else workspace.project.stale([stage.name for stage in stages])
    if stages and not has_work and not stale:
        get_run_logger().info("nothing to run: all is up to date")
        return idle.up_to_date(stages), []

    def arguments(stage: Stage) -> tuple[Any, ...]:
        return workspace, stage, options[stage.name], how, stage.name in stale

    schedule = Schedule(stages, options, {**how.limits, "jobs": jobs}, how.on_failure)
    run = _one_by_one if jobs == 1 else _side_by_side
    results: list[StageResult] = []
    messages: list[str] = []
    for name, state in run(workspace, schedule, arguments):
        if state.is_completed():
            results.append(state.result())
        else:
            results.append(StageResult(name, Outcome.FAILED, 0.0))
            messages.append(str(state.message))
    for name, failed in schedule.skipped.items():
        skip_stage.with_options(name=name, task_run_name=name)(Stage(name), failed, return_state=True)
        results.append(StageResult(name, Outcome.SKIPPED, 0.0))
    return results, messages


def _one_by_one(
    workspace: Workspace, schedule: Schedule, arguments: Callable[[Stage], tuple[Any, ...]]
) -> Any:
    while stage := schedule.begin():
        # In this thread, so that what ends the flow ends the stage.
        state: State[Any] = _task(stage)(*arguments(stage), return_state=True)
        schedule.end(stage.name, state.is_completed())
        yield stage.name, state


def _side_by_side(
    workspace: Workspace, schedule: Schedule, arguments: Callable[[Stage], tuple[Any, ...]]
) -> Any:
    ended: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    try:
        while True:
            while stage := schedule.begin():
                future = _task(stage).submit(*arguments(stage))
                future.add_done_callback(lambda future, name=stage.name: ended.put((name, future)))
            if not schedule.at_work:
                return
            name, future = ended.get()
            future.wait()  # takes the state from its thread; the server has no results
            schedule.end(name, future.state.is_completed())
            yield name, future.state
    finally:
        if schedule.at_work:  # something ends the flow: its threads are waited for
            workspace.stop()


def _task(stage: Stage) -> Any:
    return run_stage.with_options(name=stage.name, task_run_name=stage.name)
