"""What is worth waking somebody for, as Prefect events with all that is needed to act on it.

`flows/automations.py` lets the server send them to a webhook.
"""

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events import emit_event
from prefect.flows import Flow

from flows.release import Published, Release

FAILED = "digits.pipeline.failed"
RECOVERED = "digits.pipeline.recovered"
ACCURACY_DROPPED = "digits.accuracy.dropped"
LONGEST_REASON = 10_000  # characters; an event has room for some hundred times as much


def failed(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """A run failed; `reason` has the last lines of the stage that did."""
    reason = (state.message or "")[-LONGEST_REASON:]
    _emit(FAILED, {"reason": reason, "parameters": flow_run.parameters})


def recovered(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """A run of a deployment is good again, after one that was not."""
    before = _run_before(flow_run)
    if before and before.state_type is not StateType.COMPLETED:
        reason = f"good again after {before.name}, which ended as {before.state_name}"
        _emit(RECOVERED, {"reason": reason, "run_before": str(before.id)})


def accuracy_dropped(release: Release, best: Published, allowed: float) -> None:
    """The release just published is less accurate than the best one before it."""
    reason = (
        f"the accuracy of release {release.name} is {release.accuracy:.4f}, that of {best.name}, "
        f"the best one before, {best.accuracy:.4f}; a drop of {allowed:.4f} is allowed"
    )
    facts = {"accuracy": release.accuracy, "accuracy_before": best.accuracy, "release_before": best.name}
    _emit(ACCURACY_DROPPED, {"reason": reason, "release": release.name, **facts})


def _emit(event: str, facts: Mapping[str, Any]) -> None:
    where = {"host": socket.gethostname(), "folder": os.getcwd(), "commit": _commit()}
    emit_event(event, resource={"prefect.resource.id": "digits.pipeline"}, payload={**facts, **where})


def _run_before(run: FlowRun) -> FlowRun | None:
    """The last run of the same deployment that ended as good, failed or crashed."""
    if run.deployment_id is None:
        return None
    others = {
        "deployment_id": {"any_": [run.deployment_id]},
        "id": {"not_any_": [run.id]},
        "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}},
    }
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(others), sort=FlowRunSort.END_TIME_DESC, limit=1
        )
    return found[0] if found else None


def _commit() -> str | None:
    """Of this code: an image says it, a checkout knows it."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):  # a message without it is worth more than none
        found = ""
    return os.environ.get("DIGITS_COMMIT") or found or None
