"""A run that finds nothing to do, told to the server in two requests: to load Prefect would take longer."""

import base64
import http
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from prefect_dvc.project import Project, Stage
from prefect_dvc.server import EmbeddedServer, ServerError
from prefect_dvc.transcript import Outcome, StageResult, in_a_line

ENOUGH = {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}
"""What of Prefect's settings for clients is known here."""
SECONDS = 60.0  # for an answer


def nothing_follows(project: Project, options: Mapping[str, Any]) -> bool:
    """Whether a run with these options that runs no stage has nothing to fetch, push or commit either.

    Raises:
        ProjectError: DVC cannot tell.
    """
    if any(options[name] for name in ("commit_to", "experiment", "when_changed", "pools")):
        return False
    return not (options["remote"] and project.remote())


def up_to_date(stages: Sequence[Stage]) -> list[StageResult]:
    """How stages end that are not run."""
    return [StageResult(stage.name, Outcome.UP_TO_DATE, 0.0) for stage in stages]


def tell(
    flow: str, parameters: Mapping[str, Any], stages: Sequence[Stage], embedded: EmbeddedServer | None
) -> list[StageResult] | None:
    """Tell the server and the user of a run that found these stages up to date; how they ended.

    None where that is for Prefect, as `record` says.
    """
    results = up_to_date(stages)
    name = record(flow, parameters, results, embedded)
    if name is None:
        return None
    print(f"Flow run {name!r}: nothing to run, all is up to date\n")
    return results


def record(
    flow: str,
    parameters: Mapping[str, Any],
    results: Sequence[StageResult],
    embedded: EmbeddedServer | None,
) -> str | None:
    """Record a run that has completed with these results on the server of the environment; returns its name.

    None where that is for Prefect itself: the server is configured in another way, asks for more than a
    password, or does not answer.
    """
    url = os.environ.get("PREFECT_API_URL", "")
    ours = ("PREFECT_API_", "PREFECT_CLIENT_", "PREFECT_CLOUD_")
    others = [name for name in os.environ if name.startswith(ours) and name not in ENOUGH]
    if not url.startswith("http://") or others:
        return None
    try:
        if embedded:
            embedded.wait()
        made = _post(f"{url}/flows/", {"name": flow})
        state = {"type": "COMPLETED", "message": in_a_line(results)}
        run = {"flow_id": made["id"], "parameters": dict(parameters), "state": state}
        return str(_post(f"{url}/flow_runs/", run)["name"])
    except (ServerError, OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None  # a run by Prefect meets the same trouble, and says what it is


def _post(address: str, content: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    if password := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {base64.b64encode(password.encode()).decode()}"
    request = urllib.request.Request(address, json.dumps(content).encode(), headers)
    until = time.monotonic() + SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                found: dict[str, Any] = json.load(answer)
            return found
        except urllib.error.HTTPError as error:
            # Its database is busy, as it is where a server has just started: Prefect asks again, too.
            if error.code != http.HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > until:
                raise
            time.sleep(0.2)
