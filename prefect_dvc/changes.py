"""Whether there is anything new: a commit on the branch's upstream, or other data where imports come from."""

import json
from typing import Any

from prefect_dvc.git import GitError, commit, git
from prefect_dvc.project import Project, ProjectError

SEEN = ".dvc/tmp/prefect-dvc-seen.json"


def get(project: Project) -> bool:
    """Bring what is new, if there is anything since the last `note`.

    The branch is forwarded to what its upstream has. Imports (files of `dvc import` and `dvc import-url`) are
    brought by `dvc update`, which asks for an ETag or a revision, and downloads what has another.

    Raises:
        ProjectError: nothing could change, a source does not answer, or the branch has gone another way.
    """
    upstream = _upstream(project)
    if upstream:
        try:
            git(project.root, "fetch", "--quiet")
            git(project.root, "merge", "--quiet", "--ff-only", upstream)
        except GitError as error:
            raise ProjectError(f"{upstream} cannot be followed: {error}") from None
    imports = _imports(project)
    if not upstream and not imports:
        raise ProjectError(
            "nothing here can change by itself: the branch has no upstream, and there are no imports"
        )
    if imports:
        project.dvc("update", "--quiet", *(str(project.root / path) for path in imports))
    seen = project.root / SEEN
    try:
        before: Any = json.loads(seen.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none was completed yet, or its note is not whole
        before = None
    return bool(before != _state(project))


def note(project: Project) -> None:
    """Note that what is here now has been run to its end."""
    (project.root / SEEN).write_text(json.dumps(_state(project)), encoding="utf-8")


def _state(project: Project) -> dict[str, Any]:
    imports = {path: (project.root / path).read_text(encoding="utf-8") for path in _imports(project)}
    return {"commit": commit(project.root), "imports": imports}


def _imports(project: Project) -> list[str]:
    return project.ask(lambda repo: sorted(each.path_in_repo for each in repo.index.stages if each.is_import))


def _upstream(project: Project) -> str | None:
    try:
        return git(project.root, "rev-parse", "--abbrev-ref", "@{upstream}")
    except GitError:
        return None
