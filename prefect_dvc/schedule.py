"""Which stage may begin: those it depends on are done, and what it needs of the machine is free."""

from collections.abc import Mapping, Sequence
from typing import Literal

from prefect_dvc.options import StageOptions
from prefect_dvc.project import Stage

OnFailure = Literal["stop", "skip-dependents"]


class Schedule:
    """The stages of a run, in an order in which they could run one after the other.

    A stage takes one job, and of each limit what its options say; one that asks for more than there is gets
    all of it.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        options: Mapping[str, StageOptions],
        limits: Mapping[str, float],
        on_failure: OnFailure = "stop",
    ) -> None:
        self._waiting = {stage.name: stage for stage in stages}
        self._needs = {
            stage.name: {
                name: min(needed, limits[name])
                for name, needed in {"jobs": 1.0, **options[stage.name].resources}.items()
                if name in limits
            }
            for stage in stages
        }
        self._free = dict(limits)
        self._at_work: set[str] = set()
        self._done: set[str] = set()
        self._on_failure = on_failure
        self.skipped: dict[str, str] = {}
        """Stages that will not run, each with the one whose failure is the reason."""

    def begin(self) -> Stage | None:
        """Take the first stage that may begin; None where none may, for now or at all."""
        names = self._waiting.keys() | self._at_work
        for name, stage in self._waiting.items():
            needs = self._needs[name]
            if not stage.upstream & names and all(
                need <= self._free[each] + 1e-9 for each, need in needs.items()
            ):
                for each, need in needs.items():
                    self._free[each] -= need
                self._at_work.add(name)
                return self._waiting.pop(name)
        return None

    def end(self, name: str, succeeded: bool) -> None:
        """Note that a stage has ended."""
        self._at_work.remove(name)
        for each, need in self._needs[name].items():
            self._free[each] += need
        if not succeeded:
            for other, stage in list(self._waiting.items()):
                if self._on_failure == "stop" or name in stage.upstream:
                    self.skipped[other] = name
                    del self._waiting[other]

    @property
    def at_work(self) -> int:
        """How many stages have begun and not ended."""
        return len(self._at_work)
