"""A DVC workspace: what is stale in it, and running one of its stages where it can be watched and stopped."""

import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]

GUARD = Path(__file__).with_name("guard.py")
REPRO = Path(__file__).with_name("repro.py")
END = b"\x1e"  # see there
LAST_LINES = 10
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours and cursor movements
# What DVC says after a stage to a person at a terminal.
HINTS = (
    "Updating lock file",
    "Generating lock file",
    "To track the changes with git, run:",
    "\tgit add ",
    "To enable auto staging, run:",
    "\tdvc config core.autostage",
    "Use `dvc push`",
)

Log = Callable[[str], None]


class WorkspaceError(Exception):
    """The workspace cannot be read, or a stage is not in it; `str` is one line for the user."""


class Outcome(StrEnum):
    """How a stage ended."""

    RAN = "ran"
    UP_TO_DATE = "up to date"
    RESTORED = "restored from cache"
    FAILED = "failed"


@dataclass(frozen=True)
class StageResult:
    """How a stage ended, after how many seconds, and, where it failed, what it said last."""

    stage: str
    outcome: Outcome
    seconds: float
    last_lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.stage}: {self.outcome}, {self.seconds:.1f} s"


class Workspace:
    """The directory of a `dvc.yaml`. To be used from the main thread, as DVC is not safe in others."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def stage_names(self) -> list[str]:
        """The stages in the order of `dvc.yaml`.

        Raises:
            WorkspaceError: there is no `dvc.yaml`, or it is not valid.
        """
        with self._repo() as repo:
            return [stage.addressing for stage in repo.stage.load_file("dvc.yaml")]

    def stale(self, stages: Sequence[str]) -> list[str]:
        """Those of `stages` that would run again, seen on their own: stale earlier stages do not count.

        Raises:
            WorkspaceError: DVC cannot tell, for example because another `dvc` is at work.
        """
        with self._repo() as repo:
            status = repo.status(targets=list(stages)) if stages else {}
            return [stage for stage in stages if stage in status]

    def run(
        self, stage: str, log: Log, *, force: bool = False, time_limit: float | None = None
    ) -> StageResult:
        """Bring `stage` up to date, given earlier stages as they are; with `force`, run it in any case.

        Each line of output goes to `log` as soon as it is there. Whatever ends this call, be it the limit in
        seconds, an exception or the death of this process, ends every process that the stage started.
        """
        started = time.monotonic()
        if not force and not self.stale([stage]):
            return StageResult(stage, Outcome.UP_TO_DATE, time.monotonic() - started)
        command = ["repro", "--single-item", *(["--force"] if force else []), stage]
        transcript = _Transcript(stage, log)
        timed_out = threading.Event()
        code = self._watch(command, transcript, time_limit, timed_out)
        seconds = time.monotonic() - started
        if timed_out.is_set():
            message = f"error: {stage} was stopped at its time limit of {time_limit:g} seconds"
            return StageResult(stage, Outcome.FAILED, seconds, (*transcript.last_lines(), message))
        if code != 0:
            lines = transcript.last_lines() or (f"dvc ended with exit code {code} and said nothing",)
            return StageResult(stage, Outcome.FAILED, seconds, lines)
        return StageResult(stage, transcript.outcome, seconds)

    @contextmanager
    def lock(self, log: Log) -> Iterator[None]:
        """Keep other pipelines out of this workspace; wait for one at work. A dying process unlocks, too."""
        path = self.root / ".dvc" / "tmp" / "pipeline.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                log(f"{file.read() or 'Another pipeline'} is at work in this workspace; waiting for its end.")
                fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            began = time.strftime("%Y-%m-%d %H:%M:%S")
            file.write(f"The pipeline of process {os.getpid()} on {socket.gethostname()}, since {began},")
            file.flush()
            self._lock = file.fileno()
            try:
                yield
            finally:
                self._lock = None
                self._stop()

    def _watch(
        self,
        command: list[str],
        transcript: "_Transcript",
        time_limit: float | None,
        timed_out: threading.Event,
    ) -> int:
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None

        def at_limit() -> None:
            timed_out.set()
            process.stdin.close()  # type: ignore[union-attr]

        timer = threading.Timer(time_limit or 0, at_limit)
        timer.daemon = True
        code = None
        try:
            with suppress(BrokenPipeError):  # its output, or the lack of it, will tell
                process.stdin.write(f"{json.dumps(command)}\n".encode())
                process.stdin.flush()
            if time_limit is not None:
                timer.start()
            for line in process.stdout:
                said, end, number = line.partition(END)
                transcript.add(said)
                if end:
                    code = int(number)
                    break
        finally:
            timer.cancel()
            # Kept for the next stage only where nobody else can want it, and where all is well.
            if code is None or self._lock is None or timed_out.is_set():
                self._stop()
        return process.returncode or 1 if code is None else code

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), sys.executable, "-P", str(REPRO)],
            cwd=self.root,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # The guard holds the lock too, so that nobody enters while it still stops what a dead flow left.
            pass_fds=() if self._lock is None else (self._lock,),
        )

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait()
            process.stdout.close()

    @contextmanager
    def _repo(self) -> Iterator[Repo]:
        try:
            with Repo(str(self.root)) as repo:
                yield repo
        except DvcException as error:
            raise WorkspaceError(" ".join(str(error).split())) from error


class _Transcript:
    """Takes DVC's output line by line, and keeps what tells how it went."""

    def __init__(self, stage: str, log: Log) -> None:
        self.outcome = Outcome.RAN
        self._stage = stage
        self._log = log
        self._stage_speaks = False
        self._lines: deque[str] = deque(maxlen=LAST_LINES + 1)

    def add(self, raw: bytes) -> None:
        text = ESCAPES.sub("", raw.decode(errors="replace")).rstrip()
        line = text.rsplit("\r", 1)[-1]  # the last state of a progress bar
        if not line or line.startswith(HINTS):
            return
        self._log(line)
        if self._stage_speaks:
            self._lines.append(line)
        elif line.startswith("> "):
            self._stage_speaks = True
            self._lines.clear()
        elif line.startswith(f"Stage '{self._stage}' didn't change"):
            self.outcome = Outcome.UP_TO_DATE
        elif line.startswith(f"Stage '{self._stage}' is cached"):
            self.outcome = Outcome.RESTORED
        else:
            self._lines.append(line)

    def last_lines(self) -> tuple[str, ...]:
        # DVC closes with a line that repeats the command; the stage's own words matter more if there are any.
        own = [line for line in self._lines if not line.startswith("ERROR: failed to reproduce")]
        return tuple((own if self._stage_speaks and own else list(self._lines))[-LAST_LINES:])


def _environment() -> dict[str, str]:
    # DVC starts stages as `python -m ...` through the shell: that python must be this one.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    path = os.pathsep.join([os.path.dirname(sys.executable), kept.get("PATH", os.defpath)])
    return kept | {"PATH": path, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"}
