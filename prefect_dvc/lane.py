"""A child process in which DVC works: one command after the other, watched, and ended with all below it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from prefect_dvc import shell
from prefect_dvc.transcript import Transcript

GUARD = Path(__file__).with_name("guard.py")
FORKS = Path(__file__).with_name("forks.py")
END = b"\x1e"  # see there


@dataclass(frozen=True)
class Settings:
    """What the child has to know; see forks.py."""

    shell: str | None
    secrets: Sequence[str]
    visible: str | None
    containers: dict[str, object] | None
    ahead: Sequence[Sequence[str]] | None


class Lane:
    """To be used by one thread at a time; `stop` may be called by another."""

    def __init__(
        self, folder: Path, settings: Settings, environment: Mapping[str, str], lock: int | None
    ) -> None:
        self.settings = settings
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", GUARD, sys.executable, "-P", FORKS],
            cwd=folder,
            env={**environment, shell.LANE: json.dumps(asdict(settings))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # The guard holds the lock too, so that nobody enters while it still stops what a dead flow left.
            pass_fds=() if lock is None else (lock,),
        )

    def run(self, command: Sequence[str], transcript: Transcript, limit: "Limit") -> int:
        """Run a command to its end; return its exit code, negative where it was killed.

        Where that is not 0, this lane has ended, too.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        code = None
        limit.end = self._close_input
        try:
            with suppress(BrokenPipeError, ValueError):  # its output, or the lack of it, will tell
                self._process.stdin.write(f"{json.dumps(list(command))}\n".encode())
                self._process.stdin.flush()
            for line in self._process.stdout:
                said, end, number = line.partition(END)
                transcript.add(said)
                if transcript.begun:
                    limit.begin()
                if end:
                    code = int(number)
                    break
        finally:
            limit.cancel()
            # The stage of a `dvc` that was killed may live on.
            if code != 0:
                self.close()
        return -abs(self._process.returncode or 1) if code is None else code

    def stop(self) -> None:
        """End the child and all below it; return when nothing of it is left."""
        self._close_input()
        self._process.wait()

    def close(self) -> None:
        """Stop, and close what is left of the output; for the thread that reads it."""
        self.stop()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead, and what was written last is still here
            self._process.stdin.close()


class Limit:
    """So many seconds for a command, counted from `begin`; then `end` is called."""

    def __init__(self, seconds: float | None) -> None:
        self.reached = threading.Event()
        self.end: Callable[[], None] = lambda: None
        self._seconds = seconds
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Begin to count, unless that has been done."""
        if self._seconds is not None and not self._timer:
            self._timer = threading.Timer(self._seconds, self._reach)
            self._timer.daemon = True
            self._timer.start()

    def cancel(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _reach(self) -> None:
        self.reached.set()
        self.end()


def lane_environment(others: Mapping[str, str]) -> dict[str, str]:
    """The environment of a lane: this one's, without Prefect's settings, and the others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    if not {"VIRTUAL_ENV", "CONDA_PREFIX"} & kept.keys():
        # Without an environment that the user has chosen, the `python` of a stage is this one.
        kept["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), kept.get("PATH", os.defpath)])
    return kept | {"PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"} | dict(others)
