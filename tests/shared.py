"""What is built once for all processes of a test run, and servers that end with the run, whatever happens.

The process that the user started holds a FIFO open. A server for all reads it through `flows.guard`, which
stops the server when the FIFO has no writer any more: at the end of the run, or when the run was killed.
"""

import fcntl
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from prefect_dvc import guard

FOLDER = "DIGITS_TESTS_FOLDER"  # in the environment: a folder of the whole run, with this FIFO in it
FIFO = "alive"
NUMBERS = "servers"
Once = Callable[[str, Callable[[Path], object]], Path]
"""`once(name, build)`: the process that asks first has `build` fill an empty folder; all get the folder."""

_fifo: int | None = None


def is_worker(config: pytest.Config) -> bool:
    """Whether another process has started this one to share its tests."""
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    """Begin the run: from here on, servers for all may be started."""
    global _fifo
    if not is_worker(config):
        folder = tempfile.mkdtemp(prefix="digits-tests-")
        os.mkfifo(f"{folder}/{FIFO}")
        _fifo = os.open(f"{folder}/{FIFO}", os.O_RDWR)
        os.environ[FOLDER] = folder


@pytest.hookimpl(tryfirst=True)  # before folders of servers are removed
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the servers for all, and wait for their end."""
    global _fifo
    if not is_worker(session.config) and _fifo is not None:
        os.close(_fifo)
        _fifo = None
        folder = Path(os.environ.pop(FOLDER))
        numbers = folder / NUMBERS
        listed = numbers.read_text().split() if numbers.exists() else []
        guards = [psutil.Process(int(number)) for number in listed if psutil.pid_exists(int(number))]
        psutil.wait_procs(guards, timeout=4 * guard.GRACE_SECONDS)
        shutil.rmtree(folder)


def start_for_all(command: list[str], cwd: Path, env: dict[str, str], log: Path) -> None:
    """Start a program that ends with the whole run, not with this process."""
    folder = os.environ[FOLDER]
    # A shell between, so that it is nobody's child here.
    script = f'"$@" <{folder}/{FIFO} & echo $! >>{folder}/{NUMBERS}'
    guarded = [sys.executable, guard.__file__, *command]
    with log.open("a") as output:
        subprocess.run(
            ["sh", "-c", script, "sh", *guarded],
            cwd=cwd,
            env=env,
            stdout=output,
            stderr=output,
            start_new_session=True,
            check=True,
        )


def first_of_kernel() -> int:
    """The first of the ports that the kernel gives to whoever asks for any."""
    chosen = Path("/proc/sys/net/ipv4/ip_local_port_range")
    return int(chosen.read_text().split()[0]) if chosen.exists() else 49_152  # elsewhere than on Linux


def free_port() -> int:
    """A TCP port of 127.0.0.1 for a program that cannot choose one by itself.

    It is none that the kernel gives to whoever asks for any, so it stays free until that program takes it,
    and while the program is away. In a test run no port is given out twice.
    """
    for port in random.SystemRandom().sample(range(10_000, first_of_kernel()), 1000):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
                Path(os.environ[FOLDER], f"port-{port}").touch(exist_ok=False)
            except OSError:
                continue
        return port
    raise OSError("no TCP port is free")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def once(costly: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Builds folders that all processes of the run share; nobody may change what is in them."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if is_worker(request.config) else base) / "shared"
    shared.mkdir(exist_ok=True)
    return partial(build_once, shared)


def build_once(shared: Path, name: str, build: Callable[[Path], object]) -> Path:
    """Have `build` fill the folder of this name, unless another process has, is at it, or has failed to."""
    folder, end = shared / name, shared / f"{name}.end"
    with _locked(shared / f"{name}.lock"):
        if not end.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
            folder.mkdir()
            try:
                build(folder)
                end.touch()
            except Exception as error:
                end.write_text(str(error) or repr(error))
                raise
    assert not end.stat().st_size, f"another process could not build {name}: {end.read_text()}"
    return folder
