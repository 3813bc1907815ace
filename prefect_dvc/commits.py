"""What a run has changed, as a commit on a branch of `origin`, or as a DVC experiment there.

Nobody's newer commit is lost: nothing is forced, and a run that did not start from what the branch has is
refused.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency  # type: ignore[import-untyped]

from prefect_dvc.git import REMOTE, GitError, commit, git, tree
from prefect_dvc.project import Project, ProjectError, Stage


@dataclass(frozen=True)
class Destination:
    """Where the result of a run goes. In both names, `{run}` is the name of the run."""

    branch: str | None = None
    """The branch of `origin` that gets a commit of dvc.lock, parameters, and the outputs that Git tracks."""
    experiment: str | None = None
    """The name of a DVC experiment to save and push."""


@dataclass(frozen=True)
class Origin:
    """The commit that a run started from, and the files that are its own to change."""

    commit: str
    paths: tuple[str, ...]
    """Relative to the root of the project."""
    to: Destination


def origin(project: Project, stages: Sequence[Stage], to: Destination) -> Origin:
    """The commit that is checked out, before a run of these stages whose result goes there.

    Raises:
        ProjectError: there is none, or other files differ from it, so that what is made belongs to no commit;
            a name will not do.
    """
    # DVC puts an experiment's name at the end of a reference, where it must be one part.
    _check(project, "a branch", to.branch, unwanted="{}")
    _check(project, "an experiment", to.experiment, unwanted="{}/")
    base = commit(project.root)
    if base is None:
        raise ProjectError(f"{project.root} has no commit to start from; make one: git commit")
    paths = project.ask(lambda repo: tuple(sorted(set(_own(repo, stages)))))
    changed = _git(project, "diff", "--name-only", "--relative", "-z", base, "--").split("\0")
    if foreign := [path for path in changed if path and path not in paths]:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise ProjectError(
            f"changed and not committed: {', '.join(foreign[:3])}{more}; what is made of that would belong to"
            " no commit, so commit it first"
        )
    return Origin(base, paths, to)


def _check(project: Project, what: str, name: str | None, unwanted: str) -> None:
    """Find out before the run whether Git will take a name after it."""
    if name is None:
        return
    filled = name.replace("{run}", "run")
    if filled.isprintable() and not any(sign in filled for sign in unwanted):
        with suppress(GitError):
            git(project.root, "check-ref-format", "--branch", filled)
            return
    raise ProjectError(f"{name!r} is no name for {what}; of what is in braces, {{run}} alone is known")


def publish(project: Project, start: Origin) -> str:
    """Commit, or save as an experiment, what the current flow run has changed; push it; say so.

    Raises:
        ProjectError: it is refused, and nothing has changed in Git, here or there.
    """
    from prefect.runtime import flow_run

    run = str(flow_run.name)
    if commit(project.root) != start.commit:
        raise ProjectError("another commit was checked out while the stages ran; nothing is committed")
    said = []
    if start.to.branch:
        said.append(_publish_commit(project, start, start.to.branch.replace("{run}", run), run))
    if start.to.experiment:
        said.append(_publish_experiment(project, start.to.experiment.replace("{run}", run)))
    return f"from commit {start.commit[:12]}: {', '.join(said)}"


def _publish_commit(project: Project, start: Origin, branch: str, run: str) -> str:
    made = _commit(project, start, run)
    if made is None:
        return "nothing to commit"
    try:
        git(project.root, "push", "--quiet", REMOTE, f"{made}:refs/heads/{branch}")
    except GitError as error:
        there = git(project.root, "ls-remote", REMOTE, f"refs/heads/{branch}")[:12]
        if there and there != start.commit[:12]:
            raise ProjectError(
                f"{branch} of {REMOTE} is at {there}, which this run did not start from; nothing was pushed."
                f" Get it, and run again: git pull {REMOTE} {branch}"
            ) from None
        raise ProjectError(str(error)) from None
    if _checked_out(project) == branch:
        _git(project, "update-ref", "-m", f"prefect-dvc: run {run}", "HEAD", made, start.commit)
        _git(project, "reset", "--quiet", "--", *start.paths)
    return f"made commit {made[:12]} on {branch}"


def _commit(project: Project, start: Origin, run: str) -> str | None:
    """A commit of the run's own files alone, whatever is staged; None where they are as before."""
    listed = _git(project, "ls-tree", "-r", "-z", "--name-only", start.commit, "--", *start.paths)
    known = set(listed.split("\0"))
    present = [path for path in start.paths if path in known or (project.root / path).exists()]
    try:
        made = tree(project.root, start.commit, *present)
    except GitError as error:
        raise ProjectError(str(error)) from None
    if made == _git(project, "rev-parse", f"{start.commit}^{{tree}}"):
        return None
    return _git(project, "commit-tree", made, "-p", start.commit, "-m", f"Results of run {run}")


def _publish_experiment(project: Project, name: str) -> str:
    project.dvc("exp", "save", "--name", name)
    project.dvc("exp", "push", REMOTE, name)
    return f"pushed experiment {name}"


def _own(repo: Any, stages: Sequence[Stage]) -> Iterator[str]:
    yield from (stage.path_in_repo for stage in repo.index.stages if stage.is_import)
    yield from (stage.lock_file for stage in stages if stage.lock_file)
    for found in (found for stage in stages for found in repo.stage.collect(stage.name)):
        for thing in [*found.outs, *(dep for dep in found.deps if isinstance(dep, ParamsDependency))]:
            if thing.is_in_repo:
                path = Path(thing.fs_path).relative_to(repo.root_dir)
                # What Git does not track, DVC has it ignore.
                yield (path.with_name(".gitignore") if thing.use_cache else path).as_posix()


def _checked_out(project: Project) -> str | None:
    try:
        return git(project.root, "symbolic-ref", "--quiet", "--short", "HEAD")
    except GitError:  # no branch is
        return None


def _git(project: Project, *arguments: str, **options: Any) -> str:
    try:
        return git(project.root, *arguments, **options)
    except GitError as error:
        raise ProjectError(str(error)) from None
