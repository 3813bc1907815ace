"""What the Prefect server does by itself with runs of the pipeline: `python -m flows.automations`.

A run that gives no sign of life is declared Crashed. Where DIGITS_WEBHOOK_URL is set, failures, recoveries,
crashes and drops in accuracy are sent there; DIGITS_WEBHOOK_TOKEN, if set, goes with them as a bearer token.
Both are kept on the server as a block, which does not show them. Run again, it makes nothing twice.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.automations import Automation, EventTrigger, Posture
from prefect.blocks.webhook import Webhook
from prefect.client.schemas.objects import StateType
from prefect.events.actions import CallWebhook, ChangeFlowRunState

from flows.events import ACCURACY_DROPPED, FAILED, RECOVERED

BODY = Path(__file__).with_name("webhook.json.jinja")
PIPELINE = {"prefect.resource.role": "flow", "prefect.resource.name": "pipeline"}
CRASHED = "prefect.flow-run.Crashed"
SILENCE = timedelta(seconds=180)  # six heartbeats, see prefect.toml
HEARTBEAT = "prefect.flow-run.heartbeat"
ENDS = {
    f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Cancelling", "Crashed")
}


def silent_runs() -> Automation:
    """Declares a run Crashed that was alive and has given no sign of it for a while.

    Its turn goes to the next run, which waits for the lock of the workspace, should it be at work after all.
    """
    return Automation(
        name="pipeline: silent runs have crashed",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related=PIPELINE,
            for_each={"prefect.resource.id"},
            after={HEARTBEAT},
            expect={HEARTBEAT, *ENDS},
            threshold=1,
            within=SILENCE,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, message=f"No sign of life for {SILENCE.total_seconds():.0f} seconds."
            )
        ],
    )


def messages(webhook: UUID) -> Automation:
    """Calls a webhook with all that is needed to act."""
    trigger = _every({FAILED, RECOVERED, ACCURACY_DROPPED}, within=timedelta(0))
    return _calling(webhook, "pipeline: messages", trigger)


def crashes(webhook: UUID) -> Automation:
    """Calls the webhook for a run that crashed, once.

    `silent_runs` sees the same event, and where the database is busy it fails; the server then evaluates the
    event anew for all. The period makes it a late one the second time.
    """
    trigger = _every({CRASHED}, within=timedelta(seconds=1), for_each={"prefect.resource.id"})
    return _calling(webhook, "pipeline: crashes", trigger)


def _every(events: set[str], **period: Any) -> EventTrigger:
    return EventTrigger(
        posture=Posture.Reactive, match_related=PIPELINE, expect=events, threshold=1, **period
    )


def _calling(webhook: UUID, name: str, trigger: EventTrigger) -> Automation:
    call = CallWebhook(block_document_id=webhook, payload=BODY.read_text(encoding="utf-8"))
    return Automation(name=name, trigger=trigger, actions=[call])


def put(wanted: Automation) -> None:
    """Create this automation, or change the one of its name."""
    try:
        old: Any = Automation.read(name=wanted.name)
    except ValueError:
        wanted.create()
        return
    old.trigger, old.actions = wanted.trigger, wanted.actions
    old.update()


def main() -> int:
    url, token = (os.environ.get(f"DIGITS_WEBHOOK_{name}") for name in ("URL", "TOKEN"))
    if url and not url.startswith(("https://", "http://")):
        sys.exit("error: DIGITS_WEBHOOK_URL must begin with https:// or http://")
    put(silent_runs())
    if not url:
        print("no messages are sent: DIGITS_WEBHOOK_URL is not set")
        return 0
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    webhook: Any = Webhook(url=url, headers=headers).save("digits", overwrite=True)
    put(messages(webhook))
    put(crashes(webhook))
    print("failures, recoveries, crashes and drops in accuracy are sent to DIGITS_WEBHOOK_URL")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except httpx.HTTPError as error:
        sys.exit(f"error: the Prefect server does not answer: {error}")
