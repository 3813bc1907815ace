"""A copy of this project to measure whole processes in, and what each of them costs."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from digits.common import yaml_text
from digits.common.errors import DigitsError

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable
FETCHED = Path(".dvc/tmp/fetched")
"""Where stages keep what came over the network (digits/common/stage.py)."""
STARTUP = 120.0  # seconds that a server of Prefect may take


class BenchError(DigitsError):
    """What is to be measured does not work."""


@dataclass(frozen=True)
class Usage:
    """What one process cost."""

    seconds: float
    peak_bytes: int


def measure(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Usage:
    """Run `command`; return its wall time and its own peak memory.

    Raises:
        BenchError: it fails; the message ends with what it printed.
    """
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            # wait4 tells the peak of this child; getrusage(RUSAGE_CHILDREN) that of the largest so far.
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise BenchError(
                f"{' '.join(command)} ended with {process.returncode} in {folder}:\n{output.read()}"
            )
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, see getrusage(2)
    return Usage(seconds, usage.ru_maxrss * unit)


def clone(target: Path) -> None:
    """Copy this repository as a new clone would be, with the changes that are not committed yet.

    Raises:
        BenchError: it is none.
    """
    _said(["git", "clone", "--quiet", "--no-local", str(ROOT), str(target)])
    names = _said(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    for name in filter(None, names.split("\0")):
        source, copy = ROOT / name, target / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
            copy.chmod(source.stat().st_mode)
        else:
            copy.unlink(missing_ok=True)


def environment(prefect_home: Path) -> dict[str, str]:
    """The environment of every measured process, with a Prefect database that exists already.

    Raises:
        BenchError: that cannot be made.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API_")}
    kept |= {
        "PATH": f"{Path(PYTHON).parent}{os.pathsep}{kept['PATH']}",
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
    }
    _said([PYTHON, "-m", "prefect", "server", "database", "upgrade", "--yes"], kept)
    # Whoever runs first would otherwise wait for the disk, and the others would not.
    _said([PYTHON, "-c", "import torch, torchvision, onnxruntime, dvc.repo"])
    return kept


def _said(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """What a command that prepares a measurement prints."""
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def stages() -> dict[str, list[str]]:
    """The command of each stage of dvc.yaml, in an order in which they can run."""
    tree = yaml_text.parse((ROOT / "dvc.yaml").read_text())
    commands = {name: stage["cmd"].split() for name, stage in tree["stages"].items()}
    return {name: [PYTHON, *command[1:]] for name, command in commands.items()}


def forget(workspace: Path) -> None:
    """Remove what is kept of the network, so that the next run fetches it anew."""
    shutil.rmtree(workspace / FETCHED, ignore_errors=True)


@contextmanager
def server(port: int, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """A server of Prefect, as `make server` runs it; the environment of whoever is to use it.

    Raises:
        BenchError: the port is taken, or it does not answer in time.
    """
    address = f"http://127.0.0.1:{port}/api"
    if _answers(f"{address}/health"):
        raise BenchError(f"port {port} has a server already; --port takes another")
    command = [PYTHON, "-m", "prefect", "server", "start", "--port", str(port)]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            until = time.monotonic() + STARTUP
            while not _answers(f"{address}/health"):
                if process.poll() is not None or time.monotonic() > until:
                    output.seek(0)
                    raise BenchError(f"no Prefect server on port {port}:\n{output.read()}")
                time.sleep(0.2)
            yield environment | {"PREFECT_API_URL": address}
        finally:
            process.terminate()
            process.wait()


def _answers(address: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=5):
            return True
    except OSError:
        return False
