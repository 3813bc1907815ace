"""A Prefect worker that leaves no run hanging: `python -m flows.worker --pool NAME --type process`.

When it starts, it settles runs on the server that died in this folder. When it is stopped (SIGTERM, SIGINT),
each run at work first ends its stage and tells the server: Prefect's own worker would kill the run, which the
server then shows as running for good, and let the next one wait. When it is killed, all below it ends. On a
docker pool it tells the server of every run whose container was killed.
"""

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from flows.run_records import settle
from prefect_dvc.lane import GUARD

STOP_SECONDS = 20.0  # for a run to end its stage


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m flows.worker", description=__doc__)
    parser.add_argument("--pool", required=True, help="the work pool")
    parser.add_argument("--type", required=True, choices=["process", "docker"], help="of the pool")
    known, others = parser.parse_known_args()
    stops: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stops.append(number))
    _settle_when_the_server_answers(stops)
    if stops:
        return 0
    if known.type == "docker":
        from flows import container_ends  # Docker's library is not for everyone

        container_ends.watch(_say)
    prefect = [sys.executable, "-m", "prefect", "worker", "start", "--pool", known.pool, "--type", known.type]
    worker = subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), *prefect, *others],
        stdin=subprocess.PIPE,
        start_new_session=True,  # so that Ctrl-C at a terminal reaches this process alone
    )
    while worker.poll() is None:
        time.sleep(0.2)
        if len(stops) == 1:
            stops.append(0)
            _stop(worker)
        elif len(stops) > 2 and worker.stdin and not worker.stdin.closed:
            worker.stdin.close()
    return 0 if stops else worker.returncode


def _settle_when_the_server_answers(stops: list[int]) -> None:
    told = False
    while not stops:
        try:
            return settle(Path.cwd(), _say)
        except httpx.HTTPError as error:
            if not told:
                _say(f"the Prefect server does not answer ({error}); trying again until it does")
            told = True
            time.sleep(5)


def _stop(worker: subprocess.Popen[Any]) -> None:
    """Let the runs end first, in a worker that does not see it, or it would begin the next."""
    try:
        (prefect,) = psutil.Process(worker.pid).children()
        prefect.suspend()
        runs = prefect.children()
        for run in runs:
            _say(f"stopping the run of process {run.pid}")
            run.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and any(_lives(run) for run in runs):
            time.sleep(0.1)
        for run in filter(_lives, runs):
            run.kill()
        prefect.terminate()
        prefect.resume()
    except (psutil.NoSuchProcess, ValueError):
        return  # it has just ended
    _say("stopped; containers at work, if any, are waited for: once more ends the wait")


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
