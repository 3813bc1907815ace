"""A DVC project, as DVC knows it: its stages and what they depend on, what is stale, what they declare.

DVC is not safe in several threads, so whatever of it is used in this process goes through `Project.ask`.
"""

import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from dvc.exceptions import DvcException  # type: ignore[import-untyped]
from dvc.lock import LockError  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]

from prefect_dvc.transcript import Log

BUSY_SECONDS = 600.0  # how long another `dvc` may keep what is needed here
WITHOUT_GIT = (
    "; get the project with `git clone`, or let DVC go on without Git: `dvc config --local core.no_scm true`"
)
PICTURES = {".gif", ".jpeg", ".jpg", ".png", ".svg"}  # that DVC takes for plots

T = TypeVar("T")


class ProjectError(Exception):
    """The project cannot be read, or a stage is not in it; `str` is one line for the user."""


@dataclass(frozen=True)
class Stage:
    """One that a run brings up to date."""

    name: str
    """As `dvc repro` takes it in this folder, such as `train`, `train@cnn`, or `other/dvc.yaml:train`."""
    upstream: frozenset[str] = frozenset()
    """The others of the run that must be up to date before."""
    lock_file: str | None = "dvc.lock"
    """Where DVC writes down what it ran, relative to the repository; None for a `.dvc` file."""
    always_changed: bool = False
    """Whether it is stale whatever happens."""
    meta: dict[str, Any] | None = None
    """What `dvc.yaml` says under `meta: prefect:`."""
    metrics: tuple[Path, ...] = ()
    """Files of metrics, relative to this folder."""
    plots: tuple[Path, ...] = ()
    """Files and folders of plots, pictures among them, likewise."""
    outputs: tuple[Path, ...] = ()
    """All of its outputs."""

    @property
    def is_source(self) -> bool:
        """Whether it is data of a `.dvc` file: nothing runs, but what is missing is fetched."""
        return self.lock_file is None

    @property
    def always_has_work(self) -> bool:
        """Whether each run has something to do for it, whatever DVC's status says."""
        return self.is_source or self.always_changed


class Project:
    """The DVC project in `folder`, which is the current one and may be any in the repository."""

    def __init__(self, folder: Path, tell: Log = print) -> None:
        self.folder = folder
        self._tell = tell

    @cached_property
    def root(self) -> Path:
        """The folder with `.dvc` in it.

        Raises:
            ProjectError: this is no DVC repository.
        """
        for folder in [self.folder, *self.folder.parents]:
            if (folder / ".dvc").is_dir():
                return folder
        raise ProjectError(f"{self.folder} is in no DVC repository; `dvc init` makes one")

    def stages(
        self, targets: Sequence[str] = (), *, all_pipelines: bool = False, single_item: bool = False
    ) -> list[Stage]:
        """What `dvc repro` with these arguments would look at, each after those that it depends on.

        Args:
            targets: stages, or `dvc.yaml` and `.dvc` files; if not given, the `dvc.yaml` of this folder.
            all_pipelines: all stages of the repository instead.
            single_item: only the targets, given what they depend on as it is.

        Raises:
            ProjectError: they cannot be read, or a target is unknown.
        """
        return self.ask(lambda repo: self._select(repo, targets, all_pipelines, single_item))

    @cached_property
    def own(self) -> list[Stage]:
        """The stages of this folder's `dvc.yaml`, in its order where they can run in that.

        Read once, for DVC takes a fifth of a second each time, and a run keeps to the stages it began with.

        Raises:
            ProjectError: there is none, or it is not valid.
        """
        return self.stages(single_item=True)

    def stale(self, stages: Sequence[str]) -> dict[str, list[Any]]:
        """Those of `stages` that would run again, and why: DVC's own status.

        Each is seen on its own: stale earlier stages do not count.

        Raises:
            ProjectError: DVC cannot tell.
        """
        if not stages:
            return {}
        # For several targets DVC reads dvc.yaml and dvc.lock anew for each.
        targets = list(stages) if len(stages) == 1 else None
        status: dict[str, list[Any]] = self.ask(lambda repo: repo.status(targets))
        return {name: status[name] for name in stages if name in status}

    def up_to_date(self, stages: Sequence[Stage]) -> bool:
        """Whether none of them would run or be fetched.

        Raises:
            ProjectError: as `stale`.
        """
        return not any(stage.always_has_work for stage in stages) and not self.stale(
            [stage.name for stage in stages]
        )

    def remote(self) -> str | None:
        """The name of the default remote, if the user has configured one."""
        name: str | None = self.ask(lambda repo: repo.config["core"].get("remote"))
        return name

    def ask(self, question: Callable[[Repo], T]) -> T:
        """What DVC answers; waits while another `dvc` is busy.

        Raises:
            ProjectError: DVC cannot tell.
        """
        deadline, told = time.monotonic() + BUSY_SECONDS, False
        while True:
            try:
                with _one_at_a_time, Repo(str(self.root)) as repo:
                    return question(repo)
            except LockError as error:
                message = " ".join(str(error).split()).partition(" If there are no processes")[0]
                if time.monotonic() > deadline:
                    raise ProjectError(message) from error
                if not told:
                    self._tell(f"{message}; waiting for its end")
                    told = True
                time.sleep(1)
            except (DvcException, OSError, sqlite3.Error) as error:  # the last of a full disk
                message = " ".join(str(error).split())
                advice = WITHOUT_GIT if message.endswith("is not a git repository") else ""
                raise ProjectError(f"{message}{advice}") from error

    def ask_alone(self, question: Callable[[Repo], T]) -> T:
        """What DVC answers while no other `dvc` changes the repository.

        Raises:
            ProjectError: as `ask`.
        """

        def locked(repo: Repo) -> T:
            with repo.lock:
                return question(repo)

        return self.ask(locked)

    def dvc(self, *arguments: str) -> str:
        """What DVC's own command line prints in this folder.

        Raises:
            ProjectError: it failed.
        """
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            said = next((line for line in lines if line.startswith("ERROR: ")), lines[-1])
            raise ProjectError(f"dvc {' '.join(arguments[:2])}: {said.removeprefix('ERROR: ')}")
        return done.stdout

    def _select(
        self, repo: Repo, targets: Sequence[str], all_pipelines: bool, single_item: bool
    ) -> list[Stage]:
        import networkx  # type: ignore[import-untyped]  # takes a while, and DVC has it already

        graph = networkx.DiGraph(repo.index.graph)  # from a stage to what it depends on
        for stage in repo.index.stages:
            if stage.frozen:
                graph.remove_edges_from(list(graph.out_edges(stage)))
        chosen = set(graph) if all_pipelines else set()
        if not all_pipelines:
            for target in targets or ["dvc.yaml"]:
                chosen.update(repo.stage.collect(target))
            if not single_item:
                chosen |= {other for stage in list(chosen) for other in networkx.descendants(graph, stage)}
        number = {stage: number for number, stage in enumerate(repo.index.stages)}
        ordered = networkx.lexicographical_topological_sort(graph.reverse(), key=number.__getitem__)
        # Data that is here, by hand or by an import, needs nothing.
        needed = [
            stage
            for stage in ordered
            if stage in chosen and (stage.cmd or any(not out.exists for out in stage.outs))
        ]
        return [
            self._stage(repo, stage, networkx.descendants(graph, stage).intersection(needed))
            for stage in needed
        ]

    def _stage(self, repo: Repo, stage: Any, upstream: Iterable[Any]) -> Stage:
        lock = Path(stage.path).with_name("dvc.lock").relative_to(repo.root_dir)
        # As DVC names stages and files: relative to where this process is.
        outs = [(Path(os.path.relpath(out.fs_path)), out) for out in stage.outs if out.is_in_repo]
        return Stage(
            stage.addressing,
            frozenset(other.addressing for other in upstream),
            lock.as_posix() if stage.cmd else None,
            stage.always_changed or stage.is_callback,
            (stage.meta or {}).get("prefect"),
            tuple(path for path, out in outs if out.metric),
            tuple(path for path, out in outs if out.plot or path.suffix.lower() in PICTURES),
            tuple(path for path, _ in outs),
        )


@contextmanager
def quietly() -> Iterator[None]:
    """DVC says nothing but warnings."""
    logger = logging.getLogger("dvc")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


_one_at_a_time = threading.RLock()
