"""Objects of DVC's cache that are not what their name says: a disk or a remote has changed them.

DVC takes a file of its cache that is read-only for whole, and restores it as it is.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect_dvc.project import Project, Stage


def discard_damaged(project: Project, stage: Stage) -> list[str]:
    """Remove the damaged objects of a stage's outputs, and with them these outputs; returns their paths.

    Whatever needs them then fetches or makes them again. Objects known by another hash than DVC 3's MD5 are
    left alone.

    Raises:
        ProjectError: dvc.lock cannot be read.
    """

    def discard(repo: Any) -> list[str]:
        outs = [out for found in repo.stage.collect(stage.name) for out in found.outs]
        return [str(out) for out in outs if discard_out(out)]

    return project.ask(discard)


def discard_out(out: Any) -> bool:
    """Whether objects of this output were damaged; they are gone now, and so is the output."""
    if not out.hash_info or out.hash_info.name != "md5":
        return False
    damaged = [path for path, name in _objects(out.cache, out.hash_info.value) if md5(path) != name]
    if not damaged:
        return False
    for path in damaged:
        path.unlink()
    copy = Path(out.fs_path)
    shutil.rmtree(copy) if copy.is_dir() and not copy.is_symlink() else copy.unlink(missing_ok=True)
    return True


def _objects(cache: Any, value: str) -> Iterator[tuple[Path, str]]:
    """The files of an output that are in the cache, and the MD5 that each must have."""
    path = Path(cache.oid_to_path(value))
    if not path.is_file():
        return
    yield path, value.removesuffix(".dir")
    if value.endswith(".dir"):
        try:
            entries = [str(entry["md5"]) for entry in json.loads(path.read_bytes())]
        except (ValueError, TypeError, KeyError):  # then the list itself is damaged
            return
        for name in entries:
            file = Path(cache.oid_to_path(name))
            if file.is_file():
                yield file, name


def md5(path: Path) -> str:
    """Of a file, in hexadecimal, as DVC has it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
