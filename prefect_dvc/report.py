"""Results as Markdown, for a pull request: against a commit, what ran and why, and what came of it."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dvc.repo import Repo  # type: ignore[import-untyped]

from prefect_dvc.git import commit
from prefect_dvc.lineage import Made, made_by, told, with_runs
from prefect_dvc.project import PICTURES, Project, ProjectError

SHOWN = 10  # of the reasons of one stage


def report(project: Project, target: str, folder: Path) -> str:
    """What differs from the commit `target`, as the dvc.lock of both say it.

    Args:
        target: a branch, a tag or a commit of Git, such as `origin/main`.
        folder: where the report will be, for the addresses of its pictures.

    Raises:
        ProjectError: DVC cannot read one of the two, or there is no commit.
    """
    here = commit(project.root)
    if here is None:
        needs = "has no commit to compare with; a report needs Git, and one commit at least"
        raise ProjectError(f"{project.root} {needs}")
    now = project.ask(_stages)
    before = project.ask(lambda repo: _stages_at(repo, target))
    title = f"# Results of {here[:12]} against {target}"
    lines = [title, "", *_stage_table(project, now, before)]
    for name, command in (("Metrics", "metrics"), ("Parameters", "params")):
        table = project.dvc(command, "diff", "--md", target).strip().splitlines()
        lines += ["", f"## {name}", "", *(table if len(table) > 2 else ["No changes."])]
    if pictures := list(_pictures(project, now, before)):
        lines += ["", "## Pictures", ""]
        lines += [f"![{path}]({os.path.relpath(project.root / path, folder)})" for path in pictures]
    return "\n".join([*lines, ""])


def _stage_table(project: Project, now: dict[str, Made], before: dict[str, Made]) -> Iterator[str]:
    unchanged = [name for name, made in now.items() if made == before.get(name)]
    changed = [made for name, made in now.items() if name not in unchanged]
    if changed:
        yield from ["| stage | run | why | outputs |", "|---|---|---|---|"]
    for made in with_runs(project, changed):
        earlier = before.get(made.stage)
        reasons = list(_reasons(made, earlier)) if earlier else ["new"]
        more = [f"and {len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
        outputs = [
            path for path, hash in made.outputs.items() if not earlier or earlier.outputs.get(path) != hash
        ]
        cells = [
            made.stage,
            told(made.run) if made.run else "not known here",
            "<br>".join([*reasons[:SHOWN], *more]) or "its outputs are no longer reproduced",
            "<br>".join(outputs) or "as before",
        ]
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
    if unchanged:
        yield from ["", f"Unchanged: {', '.join(unchanged)}."]
    if gone := [name for name in before if name not in now]:
        yield from ["", f"Gone: {', '.join(gone)}."]


def _reasons(made: Made, earlier: Made) -> Iterator[str]:
    if made.command != earlier.command:
        yield "the command"
    for path in dict.fromkeys([*made.inputs, *earlier.inputs]):
        if made.inputs.get(path) != earlier.inputs.get(path):
            yield path
    for key in dict.fromkeys([*made.parameters, *earlier.parameters]):
        old, new = (each.parameters.get(key, "nothing") for each in (earlier, made))
        if old != new:
            yield f"{key}: {old} → {new}"


def _pictures(project: Project, now: dict[str, Made], before: dict[str, Made]) -> Iterator[str]:
    """Pictures among the outputs that have changed, in folders, too."""
    for name, made in now.items():
        earlier = before[name].outputs if name in before else {}
        for path, hash in made.outputs.items():
            if earlier.get(path) == hash:
                continue
            file = project.root / path
            for each in sorted(file.rglob("*")) if file.is_dir() else [file]:
                if each.suffix.lower() in PICTURES and each.is_file():
                    yield each.relative_to(project.root).as_posix()


def _stages(repo: Any) -> dict[str, Made]:
    """By name, all stages that run; named from the root, wherever one is."""
    found = {}
    for stage in repo.index.stages:
        if stage.cmd:
            folder = Path(stage.path).relative_to(repo.root_dir).parent.as_posix()
            name = stage.name if folder == "." else f"{folder}/{Path(stage.path).name}:{stage.name}"
            found[name] = replace(made_by(repo, stage), stage=name)
    return found


def _stages_at(repo: Any, target: str) -> dict[str, Made]:
    with Repo(repo.root_dir, rev=target) as then:
        return _stages(then)
