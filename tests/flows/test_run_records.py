"""What the server is told of a run that is no more."""

import uuid

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import State
from prefect.states import Cancelling, Completed, Paused, Running, Scheduled

from flows.run_records import declare_dead


@flow
def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("state", "then"),
    [
        (Running(), "Crashed"),
        (Paused(timeout_seconds=60), "Crashed"),
        (Cancelling(), "Cancelled"),
        (Completed(), "Completed"),
        (Scheduled(name="AwaitingRetry"), "AwaitingRetry"),
    ],
    ids=lambda value: value.name if isinstance(value, State) else value,
)
def test_only_what_the_server_does_not_know_is_told(prefect_server: str, state: State, then: str) -> None:
    said: list[str] = []
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(nothing)
        client.set_flow_run_state(run.id, state, force=True)
        declare_dead(str(run.id), "It was killed.", said.append)
        found = client.read_flow_run(run.id)
        assert found.state
        assert found.state.name == then
        told = then != state.name
        assert (found.state.message == "It was killed.") is told
        assert said == ([f"run {run.name} is {then}: It was killed."] if told else [])


@pytest.mark.parametrize("unknown", [str(uuid.UUID(int=0)), "no ID"])
def test_a_run_of_another_server_is_left_alone(prefect_server: str, unknown: str) -> None:
    said: list[str] = []
    declare_dead(unknown, "It was killed.", said.append)
    assert said == []
