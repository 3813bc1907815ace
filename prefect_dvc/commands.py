"""DVC's run cache with a remote: what DVC's command line does not do, as commands next to its own."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from dvc.cli import main as dvc_main  # type: ignore[import-untyped]
from dvc.exceptions import CollectCacheError, UploadError  # type: ignore[import-untyped]
from dvc.lock import LockError  # type: ignore[import-untyped]
from dvc.log import logger as dvc_logger  # type: ignore[import-untyped]
from dvc.repo import Repo  # type: ignore[import-untyped]
from dvc.stage.cache import RunCacheNotFoundError, RunCacheNotSupported  # type: ignore[import-untyped]

from prefect_dvc.project import quietly

logger = dvc_logger.getChild(__name__)


def main(arguments: Sequence[str]) -> int:
    """DVC's command line with two commands more; returns the exit code.

    `pull-run STAGE` brings the outputs of a run of this stage from the remote into the cache, for `dvc repro`
    to restore. `dvc repro --pull` would copy all of the run cache for each stage, and fail where the remote
    does not answer. `push-runs [STAGE]` is `dvc push --run-cache` with the outputs of all runs.
    """
    command = COMMANDS.get(arguments[0])
    if not command:
        return int(dvc_main(list(arguments)))
    try:
        command(*arguments[1:])
    except KeyboardInterrupt:
        logger.error("interrupted by the user")
    except Exception as error:  # of any library for any kind of remote
        logger.error("%s", " ".join(str(error).split()) or type(error).__name__)
    else:
        return 0
    return 1


def pull_run(name: str) -> None:
    """Take what a run of this stage with the same inputs has made from the remote, if it is there.

    A warning tells why it is not: the stage is then run, or fails on its own account.
    """
    try:
        # DVC's own words would say that the stage is restored, which `dvc repro` says again.
        with Repo() as repo, repo.lock, quietly():
            for stage in repo.stage.collect(name):
                repo.stage_cache.restore(stage, pull=True)
    except RunCacheNotFoundError as error:
        if error.__cause__:
            logger.warning("%s is not taken from the remote, which lacks a part of it", name)
    except LockError:
        raise
    except Exception as error:  # of any library for any kind of remote
        logger.warning("%s is not taken from the remote: %s", name, " ".join(str(error).split()))


def push_runs(*names: str) -> None:
    """Send what `dvc push --run-cache` sends, and the outputs of all other runs that are here.

    DVC sends the outputs of the current dvc.lock alone, and of these not the ones that Git tracks.

    Args:
        names: of stages, whose outputs of the current dvc.lock alone are sent; if none, of all.
    """
    with Repo() as repo:
        repo.push(list(names) or None)
        with repo.lock:
            try:
                runs = repo.stage_cache.push(None)
            except RunCacheNotSupported as error:
                logger.warning("the remote takes no runs, only outputs: %s", error)
                return
            here = {output for output in _outputs(repo, runs) if repo.cache.local.exists(output.value)}
            if failed := repo.cloud.push(here).failed:
                raise UploadError(len(failed))


def _outputs(repo: Any, runs: Sequence[tuple[str, str]]) -> set[Any]:
    used: set[Any] = set()
    for run in runs:
        with suppress(CollectCacheError):  # a folder that is not here any more
            used.update(*repo.stage_cache.get_used_objs([run]).values())
    return used


COMMANDS: dict[str, Callable[..., None]] = {"pull-run": pull_run, "push-runs": push_runs}
