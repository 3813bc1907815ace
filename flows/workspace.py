"""A DVC workspace: what is stale in it, and running one of its stages where it can be watched and stopped."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, TypeVar

from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.lock import LockError  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]

from digits.common import locking
from flows import leftovers
from flows.transcript import Log, Outcome, StageResult, Transcript

if TYPE_CHECKING:
    from flows.runners.container import ContainerRunner

GUARD = Path(__file__).with_name("guard.py")
REPRO = Path(__file__).with_name("repro.py")
END = b"\x1e"  # see there
LOCK = Path(".dvc/tmp/pipeline.lock")
BUSY_SECONDS = 600.0  # how long another `dvc` may keep what is needed here

T = TypeVar("T")


class WorkspaceError(Exception):
    """The workspace cannot be read, or a stage is not in it; `str` is one line for the user."""


class ModelArtifact(NamedTuple):
    """A model as `dvc.yaml` declares it."""

    name: str
    path: Path
    description: str


class _Declared(NamedTuple):
    """What `dvc.yaml` says."""

    stages: Sequence[str]
    model: ModelArtifact | None

    @classmethod
    def read(cls, repo: Repo) -> "_Declared":
        stages = [stage.addressing for stage in repo.stage.load_file("dvc.yaml")]
        artifacts = repo.artifacts.read().get("dvc.yaml", {}).items()
        models = (
            ModelArtifact(name, Path(artifact.path), artifact.desc or "")
            for name, artifact in artifacts
            if artifact.type == "model"
        )
        return cls(stages, next(models, None))


@dataclass
class Workspace:
    """The directory of a `dvc.yaml`, its stages run as processes or in containers.

    To be used from the main thread, as DVC is not safe in others.
    """

    root: Path
    containers: "ContainerRunner | None" = None
    pull: bool = False
    """Whether outputs of stages that have run elsewhere are taken from the remote."""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables for the remote."""
    tell: Log = print
    """Told for whom this one waits."""
    _lock: int | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def stage_names(self) -> list[str]:
        """The stages in the order of `dvc.yaml`.

        Raises:
            WorkspaceError: there is no `dvc.yaml`, or it is not valid.
        """
        return list(self._declared.stages)

    def stale(self, stages: Sequence[str]) -> list[str]:
        """Those of `stages` that would run again, seen on their own: stale earlier stages do not count.

        Raises:
            WorkspaceError: DVC cannot tell.
        """
        # For several targets DVC reads dvc.yaml and dvc.lock anew for each.
        targets = list(stages) if len(stages) == 1 else None
        status = self._ask(lambda repo: repo.status(targets)) if stages else {}
        return [stage for stage in stages if stage in status]

    def remote(self) -> str | None:
        """The name of the default remote, if the user has configured one."""
        name: str | None = self._ask(lambda repo: repo.config["core"].get("remote"))
        return name

    def model(self) -> ModelArtifact | None:
        """The model that `dvc.yaml` declares under `artifacts`, if there is one."""
        return self._declared.model

    @cached_property
    def _declared(self) -> "_Declared":
        # Read once, for DVC takes a fifth of a second each time, and a run keeps to the stages it began with.
        return self._ask(_Declared.read)

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
        if self.pull and not force:
            self._pull_run(stage, log, time_limit)
        command = ["repro", "--single-item", *(["--force"] if force else []), stage]
        leftovers.keep_lock_file(self.root)
        result = self.dvc(command, log, stage=stage, time_limit=time_limit)
        leftovers.forget_lock_file(self.root)
        return result

    def _pull_run(self, stage: str, log: Log, time_limit: float | None) -> None:
        # Logged where it fails, be it at its time limit: then the stage runs.
        command = ["pull-run", stage]
        result = self.dvc(command, log, stage=f"{stage} from the remote", time_limit=time_limit)
        if result.outcome is Outcome.FAILED:
            log(f"{stage} is not taken from the remote: {result.last_lines[-1]}")

    def dvc(
        self, command: Sequence[str], log: Log, *, stage: str = "", time_limit: float | None = None
    ) -> StageResult:
        """Run a command of DVC or run_cache.py, about `stage` if given; wait while another `dvc` is busy."""
        started = time.monotonic()
        while True:
            transcript = Transcript(stage, log)
            timed_out = threading.Event()
            code = self._watch(list(command), transcript, time_limit, timed_out)
            if not (code and transcript.busy and time.monotonic() - started < BUSY_SECONDS):
                break
            log("waiting for its end")
            time.sleep(2)
        lines: tuple[str, ...] = ()
        if timed_out.is_set():
            message = f"error: {stage or command[0]} was stopped at its time limit of {time_limit:g} seconds"
            lines = (*transcript.last_lines(), message)
        elif code != 0:
            lines = transcript.last_lines() or (f"dvc ended with exit code {code} and said nothing",)
        outcome = Outcome.FAILED if lines else transcript.outcome
        return StageResult(stage or command[0], outcome, time.monotonic() - started, lines)

    @contextmanager
    def lock(self, log: Log) -> Iterator[None]:
        """Be alone in this workspace; wait for whoever is at work in it. A dying process unlocks, too.

        Raises:
            WorkspaceError: this folder is no DVC workspace.
        """
        if not self._is_workspace():
            raise WorkspaceError(f"{self.root} is no DVC workspace; start this where dvc.yaml and .dvc are")
        ahead = _ahead.pop(self.root, None)
        with ahead.file if ahead else locking.take(self.root / LOCK, _myself(), log) as file:
            leftovers.mend(self.root, log)
            if self.containers:
                self.containers.remove_left(str(self.root))
            self._lock, self._process = file.fileno(), ahead.process if ahead else None
            try:
                yield
            finally:
                self._lock = None
                self._stop()

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """Load DVC while something is waited for, unless somebody is at work; `lock` goes on from there."""
        with suppress(locking.BusyError):
            if self._is_workspace():
                file = locking.take(self.root / LOCK, _myself())
                _ahead[self.root] = _Ahead(file, self._start(file.fileno()))
        try:
            yield
        finally:
            if unused := _ahead.pop(self.root, None):
                with unused.file:
                    _stop(unused.process)

    def mend(self, log: Log) -> None:
        """Mend what a killed run has left, unless somebody is at work, who has done so."""
        if self._is_workspace():
            with suppress(locking.BusyError), locking.take(self.root / LOCK, _myself()):
                leftovers.mend(self.root, log)

    def _is_workspace(self) -> bool:
        # Elsewhere nothing may be made: DVC takes a folder with `.dvc` in it for a repository.
        return (self.root / ".dvc").is_dir() and (self.root / "dvc.yaml").is_file()

    def _watch(
        self,
        command: list[str],
        transcript: Transcript,
        time_limit: float | None,
        timed_out: threading.Event,
    ) -> int:
        if self._process and self._process.args[-1] != self._settings():  # type: ignore[index]
            self._stop()
        process = self._process = self._process or self._start(self._lock)
        assert process.stdin is not None
        assert process.stdout is not None

        def at_limit() -> None:
            timed_out.set()
            _close_input(process)

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
            # Kept for the next stage only where nobody else can want it, and where all is well: the stage of
            # a `dvc` that was killed may live on.
            if code != 0 or self._lock is None or timed_out.is_set():
                self._stop()
        return process.returncode or 1 if code is None else code

    def _settings(self) -> str:
        containers = self.containers.model_dump() if self.containers else None
        return json.dumps({"containers": containers, "secrets": sorted(self.credentials)})

    def _start(self, lock: int | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), sys.executable, "-P", str(REPRO), self._settings()],
            cwd=self.root,
            env=_environment() | dict(self.credentials) | ({} if lock is None else {locking.HELD: "1"}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # The guard holds the lock too, so that nobody enters while it still stops what a dead flow left.
            pass_fds=() if lock is None else (lock,),
        )

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process:
            _stop(process)

    def _ask(self, question: Callable[[Repo], T]) -> T:
        deadline, told = time.monotonic() + BUSY_SECONDS, False
        while True:
            try:
                with Repo(str(self.root)) as repo:
                    return question(repo)
            except LockError as error:
                message = " ".join(str(error).split()).partition(" If there are no processes")[0]
                if time.monotonic() > deadline:
                    raise WorkspaceError(message) from error
                if not told:
                    self.tell(f"{message}; waiting for its end")
                    told = True
                time.sleep(1)
            except (DvcException, OSError) as error:
                raise WorkspaceError(" ".join(str(error).split())) from error


class _Ahead(NamedTuple):
    """What `Workspace.ahead` has begun."""

    file: IO[str]
    process: subprocess.Popen[bytes]


_ahead: dict[Path, _Ahead] = {}


def _stop(process: subprocess.Popen[bytes]) -> None:
    _close_input(process)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _close_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it is dead, and what was written last is still here
        process.stdin.close()


def _myself() -> locking.Holder:
    return locking.Holder.process("the pipeline", os.getpid())


def _environment() -> dict[str, str]:
    # DVC starts stages as `python -m ...` through the shell: that python must be this one.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    path = os.pathsep.join([os.path.dirname(sys.executable), kept.get("PATH", os.defpath)])
    return kept | {"PATH": path, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"}
