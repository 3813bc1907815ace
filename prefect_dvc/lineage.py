"""Where an output comes from: the stage that made it, of what, with which parameters, and in which run.

The first three stand in dvc.lock. Runs are noted in `.dvc/tmp`, and on the Prefect server as an event of each
output that was made or restored, as docs.prefect.io/v3/api-ref/events/artifact-asset-events describes them.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc.dependency import ParamsDependency  # type: ignore[import-untyped]

from prefect_dvc.git import REMOTE, GitError, commit, git
from prefect_dvc.plan import flat
from prefect_dvc.project import Project, ProjectError, Stage
from prefect_dvc.transcript import Outcome

if TYPE_CHECKING:
    from rich.tree import Tree

PARAMETERS = 40  # of each stage in a tree
RECORDS = ".dvc/tmp/prefect-dvc-runs.jsonl"


@dataclass(frozen=True)
class Made:
    """A stage and what it made, as dvc.lock has it.

    Paths are those of the repository. Hashes have their kind before them, such as `md5:`, and are empty where
    dvc.lock has none.
    """

    stage: str
    command: str
    outputs: dict[str, str]
    inputs: dict[str, str]
    parameters: dict[str, Any]
    upstream: dict[str, list[str]]
    """Inputs that are outputs of other stages, or have them in it, or are in one: these outputs."""
    earlier: list[str]
    """Inputs that another stage has made, and made otherwise since."""
    run: dict[str, Any] | None = None
    """Which run made these outputs: its id, name, time (UTC) and commit, and whether it ran the stage or
    restored them; None where no run in this folder did."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def note(project: Project, stage: Stage, outcome: Outcome) -> None:
    """Note that the current flow run has made or restored the outputs of this stage.

    Raises:
        ProjectError: dvc.lock cannot be read.
        OSError: the note cannot be written.
    """
    from prefect.runtime import flow_run

    def ask(repo: Any) -> Made:
        # To collect one by its name, DVC reads the files once more.
        known = {one.addressing: one for one in repo.index.stages}
        return made_by(repo, known.get(stage.name) or repo.stage.collect(stage.name)[0])

    made = project.ask(ask)
    run = {
        "id": flow_run.id,
        "name": flow_run.name,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(project.root),
        "outcome": str(outcome),
    }
    # One write, of a whole line: other stages end at the same time, and a kill may come at any.
    with (project.root / RECORDS).open("ab", buffering=0) as file:
        file.write(json.dumps({"outputs": made.outputs, "run": run}).encode() + b"\n")
    _emit(_name(project.root), replace(made, run=run))


def lineage(project: Project, target: str) -> list[Made]:
    """The stage that made an output, then those that made what it used, and so on; each once.

    Args:
        target: an output, or a file in one; relative to the current folder.

    Raises:
        ProjectError: no stage makes it, or none has.
    """
    wanted = Path(target).absolute()
    found = project.ask(lambda repo: list(_upwards(repo, wanted)))
    if not found:
        raise ProjectError(f"no stage makes {target}")
    if not any(found[0].outputs.values()):
        raise ProjectError(f"stage {found[0].stage} has not made {target} yet")
    return with_runs(project, found)


def inputs_of(project: Project, stage: Stage) -> list[str]:
    """What of its inputs other stages or `.dvc` files have, as paths from the current folder."""

    def find(repo: Any) -> list[str]:
        (found,) = repo.stage.collect(stage.name)
        deps = [Path(dep.fs_path) for dep in found.deps if dep.is_in_repo]
        outs = [out for out in repo.index.outs if any(_overlap(dep, Path(out.fs_path)) for dep in deps)]
        return [os.path.relpath(out.fs_path) for out in outs if out.use_cache]

    return project.ask(find)


def with_runs(project: Project, found: Sequence[Made]) -> list[Made]:
    """The same, each with the run that made it, where that is known."""
    records = list(_records(project.root))
    return [replace(made, run=_run(made, records)) for made in found]


def tree(found: Sequence[Made], target: str) -> "Tree":
    """What `lineage` found, to be printed: each stage under the output that it made, what it used below."""
    from rich.markup import escape
    from rich.tree import Tree

    maker = {path: made for made in found for path in made.outputs}
    shown: set[str] = set()

    def grow(branch: "Tree", made: Made) -> None:
        if made.stage in shown:
            branch.add(f"[bold]{escape(made.stage)}[/bold], as above")
            return
        shown.add(made.stage)
        stage = branch.add(f"[bold]{escape(made.stage)}[/bold], {escape(told(made.run))}")
        few = list(made.parameters.items())[:PARAMETERS]
        for name, value in few:
            stage.add(escape(f"{name} = {value}"), highlight=False)
        if more := len(made.parameters) - len(few):
            stage.add(f"and {more} parameters more, see --json")
        for path, hash in made.inputs.items():
            remark = ", which has been made otherwise since" if path in made.earlier else ""
            below = stage.add(escape(f"{path} {hash}{remark}"), highlight=False)
            for one in {maker[each].stage: maker[each] for each in made.upstream.get(path, [])}.values():
                grow(below, one)

    top = Tree(escape(" ".join([target, found[0].outputs.get(target, "")]).rstrip()), highlight=False)
    grow(top, found[0])
    return top


def told(run: dict[str, Any] | None) -> str:
    """A run in words."""
    if not run:
        return "of which no run here is known"
    origin = f", from commit {run['commit'][:12]}" if run["commit"] else ""
    return f"{run['outcome']} by {run['name']} at {run['time']}{origin}"


def _upwards(repo: Any, wanted: Path) -> Iterator[Made]:
    outs = list(repo.index.outs)
    waiting = [out.stage for out in outs if wanted.is_relative_to(out.fs_path)]
    seen: set[str] = set()
    while waiting:
        stage = waiting.pop(0)
        if stage.addressing in seen:
            continue
        seen.add(stage.addressing)
        made = made_by(repo, stage)
        above = {path for paths in made.upstream.values() for path in paths}
        waiting += [out.stage for out in outs if _path(repo, out) in above]
        yield made


def made_by(repo: Any, stage: Any) -> Made:
    """What dvc.lock says of a stage; `repo` and `stage` are DVC's."""
    command = "\n".join([stage.cmd] if isinstance(stage.cmd, str) else stage.cmd or [])
    made = Made(
        stage.addressing, command, {_path(repo, out): _hash(out) for out in stage.outs}, {}, {}, {}, []
    )
    for dep in stage.deps:
        path = _path(repo, dep)
        if isinstance(dep, ParamsDependency):
            values = flat(dep.hash_info.value or {})
            made.parameters.update({f"{path}:{key}": value for key, value in values.items()})
            continue
        made.inputs[path] = _hash(dep)
        if not dep.is_in_repo:
            continue
        used = Path(dep.fs_path)
        outs = [out for out in repo.index.outs if _overlap(used, Path(out.fs_path))]
        if any(Path(out.fs_path) == used and _hash(out) != _hash(dep) for out in outs):
            made.earlier.append(path)
        elif outs:
            made.upstream[path] = [_path(repo, out) for out in outs]
    return made


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _path(repo: Any, thing: Any) -> str:
    """Of an output or a dependency: in the repository, or as DVC calls what is elsewhere."""
    return Path(thing.fs_path).relative_to(repo.root_dir).as_posix() if thing.is_in_repo else str(thing)


def _hash(thing: Any) -> str:
    return f"{thing.hash_info.name}:{thing.hash_info.value}" if thing.hash_info else ""


def _records(root: Path) -> Iterator[dict[str, Any]]:
    """What was noted of runs, the newest first."""
    file = root / RECORDS
    for line in reversed(file.read_bytes().splitlines() if file.exists() else []):
        try:
            yield json.loads(line)
        except ValueError:  # the half of a line, of a full disk
            continue


def _run(made: Made, records: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The last run that ran the stage with this result; where none did, the last that restored it."""
    runs: list[dict[str, Any]] = [each["run"] for each in records if each["outputs"] == made.outputs]
    ran = [run for run in runs if run["outcome"] == Outcome.RAN]
    return next(iter([*ran, *runs]), None)


def _name(root: Path) -> str:
    """What the repository is called: as its origin, without an address that might hold a password."""
    try:
        origin = git(root, "remote", "get-url", REMOTE)
    except GitError:
        origin = root.name
    return re.split("[/:]", origin.rstrip("/"))[-1].removesuffix(".git")


def _emit(repository: str, made: Made) -> None:
    from prefect.events import emit_event

    def key(path: str) -> str:
        return "dvc://" + re.sub(r"[^\w./@+=:-]+", "-", f"{repository}/{path}")

    inputs = [{"prefect.resource.id": key(path), "prefect.resource.role": "asset"} for path in made.inputs]
    for one in inputs:
        emit_event("prefect.asset.referenced", resource={"prefect.resource.id": one["prefect.resource.id"]})
    by = {"prefect.resource.id": "dvc", "prefect.resource.role": "asset-materialized-by"}
    for path, hash in made.outputs.items():
        emit_event(
            "prefect.asset.materialization.succeeded",
            resource={"prefect.resource.id": key(path), "prefect.resource.name": path},
            related=[*inputs, by],
            payload={"hash": hash, **{k: v for k, v in made.as_json().items() if k != "outputs"}},
        )
