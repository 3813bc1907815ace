"""Which containers of runs were killed, as the engine tells it; the server hears of it at once.

Prefect's worker asks for the exit code once the output has ended. Where the engine has removed the container
by then, it takes the run for a good one, and the server shows it as running until its silence is noticed.
"""

import time
from collections.abc import Callable
from threading import Thread

import docker
import httpx
import requests
from docker.errors import DockerException

from flows.run_records import declare_dead

RUN = "io.prefect.flow-run-id"  # the label that Prefect's worker gives its containers
DEATHS = {"type": "container", "event": "die", "label": RUN}
PAUSE = 5.0  # seconds until an engine that does not answer is asked again


def watch(log: Callable[[str], None]) -> None:
    """Tell the server of every such end from now on, in a thread that lasts as long as the process."""
    Thread(target=_watch, args=[log], daemon=True).start()


def _watch(log: Callable[[str], None]) -> None:
    while True:
        try:
            engine = docker.from_env(timeout=None)
            for event in engine.events(decode=True, filters=DEATHS):
                _tell(event["Actor"]["Attributes"], log)
        except (DockerException, requests.RequestException):
            pass  # Prefect's worker, which needs the engine too, has said it
        time.sleep(PAUSE)


def _tell(container: dict[str, str], log: Callable[[str], None]) -> None:
    code = container["exitCode"]
    if code == "0":
        return
    try:
        declare_dead(container[RUN], f"Its container ended with exit code {code}.", log)
    except httpx.HTTPError as error:
        log(f"the server was not told how run {container[RUN]} ended: {error}")
