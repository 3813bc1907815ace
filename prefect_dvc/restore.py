"""The last good outputs, after a stage that failed.

DVC removes the outputs of a stage before it runs. `dvc checkout` brings back those that it manages; this one
brings back those that Git tracks, too, such as metrics, of which DVC's run cache holds copies.
"""

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from prefect_dvc.cache import discard_out
from prefect_dvc.locking import BusyError
from prefect_dvc.project import Project, ProjectError, Stage

if TYPE_CHECKING:
    from prefect_dvc.workspace import Workspace


class Restored(NamedTuple):
    """The outputs that are put back, and those that are in no cache here."""

    paths: list[str]
    missing: list[str]

    def tell(self) -> int:
        """Print what became of them; returns 1 where one is missing, otherwise 0."""
        for path in self.paths:
            print(f"{path} is as dvc.lock says again")
        for path in self.missing:
            how = "`dvc fetch` may bring it, or `dvc repro` makes it anew"
            print(f"error: {path} is not in DVC's cache; {how}", file=sys.stderr)
        if not any(self):
            print("every output is as dvc.lock says")
        return 1 if self.missing else 0


def restore(project: Project) -> Restored:
    """Put back every output that differs from dvc.lock; for whoever is alone in the repository.

    What is there in place of it, such as the half of a file, is overwritten.

    Raises:
        ProjectError: dvc.yaml or dvc.lock cannot be read, or another `dvc` is at work.
    """
    return project.ask_alone(_restore)


def command(workspace: "Workspace") -> int:
    """Restore and say so; returns 0, 1 where an output is in no cache, 2 where nothing can be done."""
    try:
        with workspace.alone():
            restored = restore(workspace.project)
    except (BusyError, ProjectError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return restored.tell()


def outputs_differ(project: Project, stage: Stage) -> bool:
    """Whether a stage that failed has left other outputs than dvc.lock says, which `restore` puts back."""

    def differ(repo: Any) -> bool:
        outs = [out for found in repo.stage.collect(stage.name) for out in found.outs]
        return any(out.hash_info and out.workspace_status() for out in outs)

    try:
        return project.ask(differ)
    except ProjectError:  # then the stage has failed for this, and said so
        return False


def _restore(repo: Any) -> Restored:
    restored = Restored([], [])
    links = repo.cache.local.cache_types
    for out in (out for stage in repo.stage.load_file("dvc.yaml") for out in stage.outs):
        if not out.hash_info or not out.workspace_status():
            continue
        # A link into the cache is nothing to commit.
        repo.cache.local.cache_types = links if out.use_cache else ["copy"]
        out.use_cache = True
        if discard_out(out) or out.changed_cache():
            restored.missing.append(str(out))
        else:
            out.checkout(force=True)
            restored.paths.append(str(out))
    return restored
