"""Many runs of a schedule, one after the other: what a server, a worker and a workspace grow by.

`python -m benchmarks.endurance` (or `make endurance`) starts a Prefect server and this project's worker, and
lets a deployment of `flows.pipeline` be due every few seconds until enough runs are done. Each run makes one
small output anew. Nights pass as intervals: with `--runs 200`, a half year of them.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks import project
from benchmarks.project import PYTHON, ROOT, BenchError

DVC_YAML = """
stages:
  make:
    cmd: python -c "import secrets; open('made', 'wb').write(secrets.token_bytes(1000))"
    always_changed: true
    outs: [made]
"""
"""A thousand bytes that are new each time: so much the cache may grow by."""
POOL = "endurance-process"
DEPLOYMENT = """
deployments:
- name: endurance
  entrypoint: flows.pipeline:pipeline
  schedules: [{{interval: {interval}, slug: often}}]
  concurrency_limit: {{limit: 1, collision_strategy: CANCEL_NEW}}
  work_pool: {{name: {pool}}}
"""
PAUSE = 2.0  # seconds between two looks


class Sample(NamedTuple):
    """What is there after a number of runs."""

    runs: int
    server_memory: int
    """Resident bytes."""
    worker_memory: int
    """Likewise, of the worker and what it consists of."""
    server_files: int
    """Open descriptors."""
    worker_files: int
    database: int
    """Bytes on the disk, of Prefect's database with its log."""
    workspace: int
    """Bytes of DVC's own folder and of the outputs."""
    entries: int
    """Files in the workspace, the temporary folder and the homes."""


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """What one run adds, by name: the median slope of all pairs of samples (Theil and Sen), start-up aside.

    Args:
        samples: in order; the first quarter is left out, as libraries are still being loaded then.
    """
    settled = samples[len(samples) // 4 :]
    pairs = [(a, b) for i, a in enumerate(settled) for b in settled[i + 1 :]]
    return {
        name: statistics.median((getattr(b, name) - getattr(a, name)) / (b.runs - a.runs) for a, b in pairs)
        for name in Sample._fields[1:]
    }


def measure(folder: Path, runs: int, interval: float, port: int) -> list[Sample]:
    """Let so many runs be done in `folder`; a sample after each tenth, or each run of less than forty.

    Raises:
        BenchError: a run fails, or none ends for some minutes.
    """
    environment = project.environment(folder / "prefect")
    temporary = folder / "tmp"
    temporary.mkdir()
    environment |= {"TMPDIR": str(temporary), "HOME": str(folder), "PREFECT_WORKER_QUERY_SECONDS": "2"}
    workspace = _workspace(folder / "workspace", interval)
    with (
        project.server(port, environment | {"PREFECT_HOME": str(folder / "server")}) as served,
        _worker(workspace, served | {"PREFECT_HOME": str(folder / "prefect")}) as worker,
    ):
        server = psutil.Process().children()
        (server_process,) = [process for process in server if process.pid != worker.pid]
        return list(_samples(folder, runs, served["PREFECT_API_URL"], server_process, worker))


def _samples(
    folder: Path, runs: int, address: str, server: psutil.Process, worker: psutil.Process
) -> Iterator[Sample]:
    every, done, last = max(1, min(10, runs // 20)), 0, time.monotonic()
    while done < runs:
        time.sleep(PAUSE)
        found, bad = _count(address, ["COMPLETED"], done), _count(address, ["FAILED", "CRASHED"], 0)
        if bad:
            raise BenchError(f"{bad} of {found + bad} runs failed; {folder}/worker.log tells why")
        if found == done and time.monotonic() - last > project.STARTUP * 2:
            raise BenchError(f"no run has ended for minutes, after {done}; {folder}/worker.log tells why")
        if found > done:
            last = time.monotonic()
        if found // every > done // every:
            sample = _sample(folder, found, server, worker)
            print(json.dumps(sample._asdict()), flush=True)
            yield sample
        done = found


def _sample(folder: Path, runs: int, server: psutil.Process, worker: psutil.Process) -> Sample:
    # What a run itself consists of comes and goes; the worker is the guard, and Prefect's worker below it.
    parts = [worker, *worker.children(), *(p for child in worker.children() for p in child.children())]
    workspace = [path for path in (folder / "workspace").rglob("*") if path.is_file()]
    others = [path for name in ("tmp", "prefect", "server") for path in (folder / name).rglob("*")]
    return Sample(
        runs,
        server.memory_info().rss,
        sum(process.memory_info().rss for process in parts),
        server.num_fds(),
        sum(process.num_fds() for process in parts),
        sum(path.stat().st_size for path in (folder / "server").glob("prefect.db*")),
        sum(path.stat().st_size for path in workspace),
        len(workspace) + len(others),
    )


def _count(address: str, states: Sequence[str], before: int) -> int:
    """How many runs are in these states; as many as `before` where the server is too busy to tell."""
    body = json.dumps({"flow_runs": {"state": {"type": {"any_": states}}}}).encode()
    request = urllib.request.Request(
        f"{address}/flow_runs/count", body, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return int(answer.read())
    except TimeoutError:
        return before


def _workspace(folder: Path, interval: float) -> Path:
    folder.mkdir()
    for name in ("flows", "prefect_dvc", "digits"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules", "tests")
        )
    for name in ("params.yaml", "prefect.toml", "versions.yaml"):
        shutil.copy(ROOT / name, folder)
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "prefect.yaml").write_text(DEPLOYMENT.format(interval=interval, pool=POOL))
    for command in (["git", "init", "--quiet"], [PYTHON, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=folder, check=True)
    return folder


@contextmanager
def _worker(workspace: Path, environment: dict[str, str]) -> Iterator[psutil.Process]:
    prefect = [PYTHON, "-m", "prefect", "--no-prompt"]
    for command in (["work-pool", "create", POOL, "--type", "process"], ["deploy", "--all"]):
        done = subprocess.run(
            [*prefect, *command], cwd=workspace, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise BenchError(f"prefect {' '.join(command)}: {done.stdout}{done.stderr}")
    command = [PYTHON, "-m", "flows.worker", "--pool", POOL, "--type", "process"]
    with (workspace.parent / "worker.log").open("w") as log:
        worker = subprocess.Popen(command, cwd=workspace, env=environment, stdout=log, stderr=log)
        try:
            yield psutil.Process(worker.pid)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait()


def table(samples: Sequence[Sample]) -> str:
    """Markdown: the first sample, the last, and what a run adds."""
    slopes, first, last = growth(samples), samples[0], samples[-1]
    rows = [f"| after | {first.runs} runs | {last.runs} runs | a run adds |", "|---|---|---|---|"]
    for name, slope in slopes.items():
        scale, unit = (1, "") if name in ("server_files", "worker_files", "entries") else (1e6, " MB")
        start, end = getattr(first, name) / scale, getattr(last, name) / scale
        per_run = f"{slope:.2f}" if scale == 1 else f"{slope / 1e3:.1f} kB"
        rows.append(f"| {name.replace('_', ' ')} | {start:,.4g}{unit} | {end:,.4g}{unit} | {per_run} |")
    return "\n".join(rows)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--interval", type=float, default=6.0, help="seconds from one due run to the next")
    parser.add_argument("--port", type=int, default=4291)
    options: Any = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="endurance-") as folder:
        try:
            samples = measure(Path(folder), options.runs, options.interval, options.port)
        except BenchError as error:
            kept = Path(tempfile.mkdtemp(prefix="endurance-log-"), "worker.log")
            if (log := Path(folder, "worker.log")).exists():
                shutil.copy(log, kept)
            print(f"error: {str(error).replace(f'{folder}/worker.log', str(kept))}", file=sys.stderr)
            return 1
    print(f"{samples[-1].runs} runs in {time.monotonic() - began:,.0f} s, {os.cpu_count()} cores")
    print(table(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
