"""DVC's run cache, for every stage of this project, and together with the remote."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from dvc.exceptions import CollectCacheError, UploadError  # type: ignore[import-untyped]
from dvc.log import logger as dvc_logger  # type: ignore[import-untyped]
from dvc.stage.cache import RunCacheNotFoundError, StageCache  # type: ignore[import-untyped]

logger = dvc_logger.getChild(__name__)


class RunCache(StageCache):  # type: ignore[misc]
    """Restores the outputs of a stage that has run before, here or on another machine.

    DVC leaves out stages with persistent outputs, since those may depend on what was there before. Here they
    persist only to stay until there are new ones.
    """

    remote = False
    """Whether the outputs may come from the remote."""

    def save(self, stage: Any) -> None:
        with _not_persistent(stage):
            super().save(stage)

    def restore(self, stage: Any, run_cache: bool = True, pull: bool = False, dry: bool = False) -> None:
        with _not_persistent(stage):
            try:
                super().restore(stage, run_cache, pull or self.remote, dry)
            except RunCacheNotFoundError:
                raise
            except Exception as error:  # of any library for any kind of remote
                if not (pull or self.remote):
                    raise
                logger.warning("%s is not taken from the remote: %s", stage.addressing, error)
                raise RunCacheNotFoundError(stage) from error

    def push(self, remote: str | None, odb: Any = None) -> Any:
        """Send the runs, and all their outputs that are here.

        DVC would send those of the current dvc.lock alone, and of these not the ones that Git tracks.
        """
        runs = super().push(remote, odb)
        used = set()
        for run in runs:
            with suppress(CollectCacheError):  # a folder that is not here any more
                for outputs in self.get_used_objs([run]).values():
                    used |= outputs
        here = {output for output in used if self.repo.cache.local.exists(output.value)}
        if failed := self.repo.cloud.push(here, remote=remote).failed:
            raise UploadError(len(failed))
        return runs


@contextmanager
def _not_persistent(stage: Any) -> Iterator[None]:
    persistent = [out for out in stage.outs if out.persist]
    for out in persistent:
        out.persist = False
    try:
        yield
    finally:
        for out in persistent:
            out.persist = True
