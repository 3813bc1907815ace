"""What nobody needs any more goes: `make retention`, or the deployment `weekly`.

DVC's cache keeps what the workspace, a branch, a tag or an experiment names, and Docker its newest images.
The server forgets its oldest runs by itself (prefect.toml), and a release takes the place of the oldest.
"""

import sys
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.workspace import workspace_of
from prefect_dvc.git import commit
from prefect_dvc.project import ProjectError
from prefect_dvc.transcript import Log, Outcome
from prefect_dvc.workspace import Workspace

TITLE = "digits"
"""Of the images: their label org.opencontainers.image.title."""
TARGET = "digits.target"
"""The label that tells images with and without CUDA apart."""
IMAGES = 2
"""So many of the newest of each target are kept, besides those that a container is made of."""
NAMED = ("--all-branches", "--all-tags", "--all-experiments")


def clean_cache(workspace: Workspace, log: Log) -> int:
    """Remove from DVC's cache what nothing names; return how many bytes that were.

    A stage whose results have gone is taken from the remote, or runs, when it is wanted again.

    Raises:
        ProjectError: other projects use the cache as well, or DVC failed.
    """
    root = workspace.project.root
    cache = Path(workspace.project.dvc("cache", "dir").rstrip("\n"))
    if not cache.resolve().is_relative_to((root / ".dvc").resolve()):
        raise ProjectError(
            f"{cache} may have what other projects need; `dvc gc --projects` cleans it, told all of them"
        )
    named = NAMED if commit(root) else ()  # an image has no Git
    before = size(cache)
    result = workspace.dvc(["gc", "--force", "--workspace", *named], log)
    if result.outcome is Outcome.FAILED:
        raise ProjectError(f"the cache is not cleaned: {result.last_lines[-1]}")
    return before - size(cache)


def clean_images(engine: docker.DockerClient, log: Log, title: str = TITLE) -> int:
    """Remove old images of this title from an engine; return how many."""
    label = {"label": f"org.opencontainers.image.title={title}"}
    containers = engine.containers.list(all=True, ignore_removed=True)
    used = {container.attrs["Image"] for container in containers}
    found = sorted(engine.images.list(filters=label), key=lambda image: str(image.attrs["Created"]))
    newest = defaultdict(list)
    for image in reversed(found):
        newest[image.labels.get(TARGET)].append(image.id)
    kept = used.union(*(ids[:IMAGES] for ids in newest.values()))
    removed = 0
    for image in found:
        if image.id in kept:
            continue
        try:
            # By its names, so that an image that others are made of stays with them.
            for name in image.tags or [image.id]:
                engine.images.remove(name)
        except docker.errors.APIError as error:
            log(f"image {image.short_id} stays: {error.explanation}")
            continue
        removed += 1
    return removed


def clean(workspace: Workspace, log: Log) -> list[str]:
    """Clean this workspace and this machine; return what was done, a line for each.

    Raises:
        ProjectError: DVC's cache could not be cleaned.
    """
    with workspace.lock(log):
        done = [f"{clean_cache(workspace, log) / 1e6:,.1f} MB removed from DVC's cache"]
    try:
        with closing(docker.from_env()) as engine:
            done.append(f"{clean_images(engine, log)} images removed from Docker")
    except docker.errors.DockerException:
        done.append("Docker is not at work here, so its images stay")
    return done


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> int:
    """Returns 1 where DVC's cache could not be cleaned."""
    try:
        for line in clean(workspace_of(Path.cwd()), print):
            print(line)
    except ProjectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


@flow(name="retention", persist_result=False)
def retention() -> State[Any]:
    """Remove from the worker's folder and machine what nobody needs any more."""
    logger = get_run_logger()
    try:
        done = clean(workspace_of(Path.cwd()), logger.info)
    except ProjectError as error:
        return Failed(message=f"error: {error}")
    return Completed(message="; ".join(done))


if __name__ == "__main__":
    sys.exit(main())
