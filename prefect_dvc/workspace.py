"""A DVC workspace in which stages are run where they can be watched and stopped, several at once."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from prefect_dvc import leftovers, locking, shell
from prefect_dvc.cache import discard_damaged
from prefect_dvc.lane import Lane, Limit, Settings, lane_environment
from prefect_dvc.lanes import Lanes
from prefect_dvc.project import BUSY_SECONDS, Project, ProjectError, Stage
from prefect_dvc.transcript import Log, Outcome, StageResult, Transcript

if TYPE_CHECKING:
    from prefect_dvc.runners.container import ContainerRunner


@dataclass
class Workspace:
    """The current folder, in a DVC repository; its stages run as processes or in containers."""

    folder: Path
    containers: "ContainerRunner | None" = None
    pull: bool = False
    """Whether outputs of stages that have run elsewhere are taken from the remote."""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables for the remote, which stages do not see."""
    tell: Log = print
    """Told for whom this one waits."""
    take: locking.Take = locking.take
    """How to be alone in the repository."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """More of it, for DVC and its stages."""
    visible: str | None = None
    """A regular expression of the names of those variables of it that stages see; None if they see all."""
    ahead: Sequence[Sequence[str]] | None = None
    """Modules to load while a stage works, for the next ones; stages `python -m MODULE` then run in forks of
    the process that has loaded them. None if they are to start as DVC starts them."""
    check_folder: Callable[[Path], None] | None = None
    """May refuse this folder with a ProjectError, before anything is made in it."""
    lanes: Lanes = field(init=False, repr=False)
    """The processes in which DVC works for it."""
    _lock: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.lanes = Lanes(lambda settings: self._start(self._lock, settings))

    @cached_property
    def project(self) -> Project:
        """What DVC knows of it."""
        return Project(self.folder, lambda line: self.tell(line))

    @cached_property
    def _lock_files(self) -> leftovers.LockFiles:
        return leftovers.LockFiles(self.project.root)

    def run(
        self,
        stage: Stage,
        log: Log,
        *,
        force: bool = False,
        time_limit: float | None = None,
        is_stale: bool = False,
    ) -> StageResult:
        """Bring `stage` up to date, given earlier stages as they are; with `force`, run it in any case.

        DVC is not asked ahead about one that is known to be stale: `dvc repro` sees if it is not any more.
        Each line of output goes to `log` as soon as it is there. Whatever ends this call, be it the limit in
        seconds of its command, an exception or the death of this process, ends every process that the stage
        started.
        """
        started = time.monotonic()
        if stage.is_source:
            return self._fetch(stage, log)
        if not force and (self.pull or not is_stale) and not self.project.stale([stage.name]):
            return StageResult(stage.name, Outcome.UP_TO_DATE, time.monotonic() - started)
        pulled = self.pull and not force
        # What is damaged in the cache may come from the remote; what is damaged there, from a run.
        for pull in (pulled, pulled, False):
            result = self._repro(stage, log, force=force, pull=pull, time_limit=time_limit)
            if result.outcome is not Outcome.RESTORED:
                break
            damaged = discard_damaged(self.project, stage)
            if not damaged:
                break
            log(f"damaged in DVC's cache, removed there, and made again: {', '.join(damaged)}")
        return result

    def _repro(
        self, stage: Stage, log: Log, *, force: bool, pull: bool, time_limit: float | None
    ) -> StageResult:
        if pull:
            self.pull_run(stage, log, time_limit)
        # It waits for DVC's lock, also to note what it has made while another stage does so.
        command = [
            "--wait-for-lock",
            "repro",
            "--single-item",
            *(["--force"] if force else []),
            "--",
            stage.name,
        ]
        assert stage.lock_file is not None
        with self._lock_files.kept(stage.lock_file, partial(_while_locked, self.project)):
            result = self.dvc(
                command, log, stage=stage.name, time_limit=time_limit, lock_file=stage.lock_file
            )
        if pull and result.outcome is Outcome.UP_TO_DATE:  # by now
            result = replace(result, outcome=Outcome.RESTORED)
        return result

    def pull_run(self, stage: Stage, log: Log, time_limit: float | None = None) -> None:
        """Bring a run of this stage with the same inputs from the remote into the cache, or say why not."""
        command = ["pull-run", stage.name]
        result = self.dvc(command, log, stage=f"{stage.name} from the remote", time_limit=time_limit)
        if result.outcome is Outcome.FAILED:
            log(f"{stage.name} is not taken from the remote: {result.last_lines[-1]}")

    def _fetch(self, stage: Stage, log: Log) -> StageResult:
        result = self.dvc(["checkout", "--", stage.name], log, stage=stage.name)
        if result.outcome is Outcome.FAILED or not all(
            (self.folder / path).exists() for path in stage.outputs
        ):
            result = self.dvc(["pull", "--", stage.name], log, stage=stage.name)
        restored = Outcome.FAILED if result.outcome is Outcome.FAILED else Outcome.RESTORED
        return StageResult(stage.name, restored, result.seconds, result.last_lines)

    def dvc(
        self,
        command: Sequence[str],
        log: Log,
        *,
        stage: str = "",
        time_limit: float | None = None,
        lock_file: str | None = None,
    ) -> StageResult:
        """Run a command of DVC or commands.py, about `stage` if given; wait while another `dvc` is busy.

        The time limit of `dvc repro` begins with the command of the stage. Should DVC be killed, `lock_file`,
        relative to the repository, is mended.
        """
        started = time.monotonic()
        while True:
            transcript, limit = Transcript(stage, log), Limit(time_limit)
            if "repro" not in command:
                limit.begin()
            code = self.lanes.run(command, self._settings(), transcript, limit)
            if not (code and transcript.busy and time.monotonic() - started < BUSY_SECONDS):
                break
            log("waiting for its end")
            time.sleep(2)
        if code < 0 and lock_file:
            self._lock_files.mend(lock_file, partial(_while_locked, self.project), transcript.writes, log)
        lines: tuple[str, ...] = ()
        if limit.reached.is_set():
            message = f"error: {stage or command[0]} was stopped at its time limit of {time_limit:g} seconds"
            lines = (*transcript.last_lines(), message)
        elif code != 0:
            end = "was killed" if code < 0 else f"ended with exit code {code}"
            lines = transcript.last_lines() or (f"dvc {end} and said nothing",)
        outcome = Outcome.FAILED if lines else transcript.outcome
        return StageResult(stage or command[0], outcome, time.monotonic() - started, lines)

    @contextmanager
    def lock(self, log: Log) -> Iterator[None]:
        """Be alone in this repository; wait for whoever is at work in it. A dying process unlocks, too.

        Raises:
            ProjectError: this folder is in no DVC repository.
        """
        root = self._checked_root()
        ahead = _ahead.pop(self.folder, None)
        with ahead.file if ahead else self._taken(root, log) as file:
            leftovers.mend(root, log)
            if self.containers:
                self.containers.remove_left(str(self.folder))
            self._lock = file.fileno()
            self.lanes.open(ahead.lane if ahead else None)
            try:
                yield
            finally:
                self._lock = None
                self.stop()

    @contextmanager
    def load_ahead(self) -> Iterator[None]:
        """Load DVC while something is waited for, unless somebody is at work; `lock` goes on from there."""
        with suppress(locking.BusyError, ProjectError):
            file = self.alone()
            _ahead[self.folder] = _Ahead(file, self._start(file.fileno(), self._settings()))
        try:
            yield
        finally:
            if unused := _ahead.pop(self.folder, None):
                with unused.file:
                    unused.lane.close()

    def alone(self) -> IO[str]:
        """Be alone in this repository until the file is closed.

        Raises:
            BusyError: another is at work.
            ProjectError: this folder is in no DVC repository.
        """
        return self._taken(self._checked_root(), None)

    def mend(self, log: Log) -> None:
        """Mend what a killed run has left, unless somebody is at work, who has done so."""
        with suppress(locking.BusyError, ProjectError), self.alone():
            leftovers.mend(self.project.root, log)

    def stop(self) -> None:
        """End all that is at work here, and let nothing begin."""
        self.lanes.stop()

    def _taken(self, root: Path, tell: Log | None) -> IO[str]:
        try:
            return self.take(root, tell)
        except OSError as error:
            raise _closed(error) from error

    def _checked_root(self) -> Path:
        # Where this is not the place for it, nothing may be made: DVC takes any `.dvc` for a repository.
        try:
            if self.check_folder:
                self.check_folder(self.folder)
            return self.project.root
        except OSError as error:
            raise _closed(error) from error

    def _settings(self) -> Settings:
        containers = self.containers.model_dump(mode="json") if self.containers else None
        secrets = sorted(self.credentials)
        return Settings(os.environ.get("SHELL"), secrets, self.visible, containers, self.ahead)

    def _start(self, lock: int | None, settings: Settings) -> Lane:
        if not os.access(shell.PROGRAM, os.X_OK):  # as on a file system that does not keep it
            raise ProjectError(f"{shell.PROGRAM} cannot be executed; allow it: chmod +x {shell.PROGRAM}")
        environment = lane_environment({**self.environment, **self.credentials})
        return Lane(self.folder, settings, environment, lock)


class _Ahead(NamedTuple):
    """What `Workspace.load_ahead` has begun."""

    file: IO[str]
    lane: Lane


_ahead: dict[Path, _Ahead] = {}


def _while_locked(project: Project, function: Callable[[], None]) -> None:
    project.ask_alone(lambda _: function())


def _closed(error: OSError) -> ProjectError:
    return ProjectError(f"{error.filename}: {error.strerror}; a run writes into this repository")
