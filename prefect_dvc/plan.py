"""What a run would do, and why, without running anything."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dvc.stage.cache import RunCacheNotFoundError  # type: ignore[import-untyped]

from prefect_dvc.project import Project, Stage, quietly

if TYPE_CHECKING:
    from rich.tree import Tree

MISSING = "missing"


class Prospect(StrEnum):
    """What would become of a stage."""

    RUN = "run"
    RESTORE = "be restored"
    STAY = "stay"
    DEPENDS = "run if what it depends on comes out changed"
    FETCH = "be fetched"


@dataclass(frozen=True)
class Reason:
    """Why a stage is stale."""

    kind: str
    """`never`, `dependency`, `parameter`, `output`, `command`, `always`, or `upstream`."""
    what: str
    """A path, `FILE:KEY` of a parameter, or the name of a stage."""
    how: str
    """As DVC says it (`modified`, `new`, `deleted`, …), or what that stage would do."""
    before: Any = None
    after: Any = None
    """Of a parameter; None where it was or is not there."""

    def __str__(self) -> str:
        if self.kind == "parameter":
            return f"{self.what}: {_text(self.before)} → {_text(self.after)}"
        if self.kind in ("never", "command", "always"):
            return self.how
        return f"{self.what} {'would ' if self.kind == 'upstream' else 'is '}{self.how}"


@dataclass(frozen=True)
class Planned:
    """A stage and what would become of it."""

    stage: str
    prospect: Prospect
    reasons: tuple[Reason, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def plan(project: Project, stages: Sequence[Stage]) -> list[Planned]:
    """What a run of these stages would do, in this order; each comes after those that it depends on.

    A stage that depends on one that would run is not looked at further: what that one makes is not known.

    Raises:
        ProjectError: DVC cannot tell.
    """
    return project.ask_alone(lambda repo: list(_plan(repo, stages)))


def tree(planned: Sequence[Planned], name: str) -> "Tree":
    """What `plan` found in a project of this name, to be printed."""
    from rich.markup import escape
    from rich.tree import Tree

    number = "1 stage" if len(planned) == 1 else f"{len(planned)} stages"
    top = Tree(escape(f"{name}: {number}"))
    for each in planned:
        branch = top.add(f"[bold]{escape(each.stage)}[/bold] would {each.prospect}")
        for reason in each.reasons:
            branch.add(escape(str(reason)), highlight=False)
    return top


def _plan(repo: Any, stages: Sequence[Stage]) -> Iterator[Planned]:
    # To collect one by its name, and for its status by that, DVC reads the files once more each time.
    known = {found.addressing: found for found in repo.index.stages}
    changing: dict[str, Prospect] = {}
    upstream = {stage.name: stage.upstream for stage in stages}
    for stage in stages:
        others = [name for name in changing if name in stage.upstream]
        # What changes those others is told with them.
        nearest = [name for name in others if not any(name in upstream[other] for other in others)]
        planned = _one(known[stage.name], stage, {name: changing[name] for name in nearest})
        if planned.prospect is not Prospect.STAY:
            changing[stage.name] = planned.prospect
        yield planned


def _one(found: Any, stage: Stage, upstream: Mapping[str, Prospect]) -> Planned:
    if stage.is_source:
        return Planned(stage.name, Prospect.FETCH, ())
    own = tuple(_reasons(found, found.status(check_updates=True).get(stage.name, [])))
    others = tuple(Reason("upstream", name, str(prospect)) for name, prospect in upstream.items())
    if not own:
        return Planned(stage.name, Prospect.DEPENDS if others else Prospect.STAY, others)
    if others:
        return Planned(stage.name, Prospect.RUN, own + (() if own[0].kind == "never" else others))
    return Planned(stage.name, Prospect.RESTORE if is_cached(found) else Prospect.RUN, own)


def is_cached(found: Any) -> bool:
    """Whether DVC's run cache has a run with these inputs, whose outputs are here."""
    # In this object alone. DVC would take outputs that it knows for those of these inputs.
    found.save_deps()
    for out in found.outs:
        out.clear()
    with suppress(RunCacheNotFoundError), quietly():
        found.repo.stage_cache.restore(found, dry=True)
        return True
    return False


def _reasons(found: Any, status: Sequence[Any]) -> Iterator[Reason]:
    recorded = [each.hash_info for each in [*found.deps, *found.outs]]
    if recorded and not any(recorded):
        yield Reason("never", found.addressing, "has not run before")
        return
    for entry in status:
        if isinstance(entry, str):
            yield Reason("always" if entry == "always changed" else "command", found.addressing, entry)
            continue
        for path, how in entry.get("changed deps", {}).items():
            if isinstance(how, dict):
                yield from _parameters(found, path)
            else:
                yield Reason("dependency", path, how)
        for path, how in entry.get("changed outs", {}).items():
            yield Reason("output", path, how)


def _parameters(found: Any, path: str) -> Iterator[Reason]:
    for dependency in found.deps:
        if str(dependency) == path:
            before, after = flat(dependency.hash_info.value or {}), flat(dependency.read_params())
            for name in [*after, *(name for name in before if name not in after)]:
                old, new = before.get(name, MISSING), after.get(name, MISSING)
                if old != new:
                    how = "new" if old is MISSING else "deleted" if new is MISSING else "modified"
                    values = (None if value is MISSING else value for value in (old, new))
                    yield Reason("parameter", f"{path}:{name}", how, *values)


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested parameters by their dotted names."""
    if not isinstance(values, Mapping) or (prefix and not values):
        return {prefix: values}
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}.{name}" if prefix else str(name))
    return found


def _text(value: Any) -> str:
    return "nothing" if value is None else str(value)
