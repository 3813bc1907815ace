"""Files that are either as before or complete."""

import fcntl
import glob
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it becomes `path` when the block ends well, and is removed otherwise.

    Each writer has one of its own, so that of two the last one wins as a whole. It is locked as long as its
    writer lives: what a killed one has left, the next one for the same file removes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        _remove_unless_locked(left)
    temporary, lock = _locked(path)
    try:
        with lock:
            yield temporary
            temporary.chmod(0o644)  # some libraries create files that only their owner may read
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _locked(path: Path) -> tuple[Path, IO[bytes]]:
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        lock = temporary.open("xb")
        fcntl.flock(lock, fcntl.LOCK_EX)
        if temporary.exists():  # unless somebody has taken it for left, in the moment before it was locked
            return temporary, lock
        lock.close()


def _remove_unless_locked(left: Path) -> None:
    with suppress(FileNotFoundError, BlockingIOError), left.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        left.unlink()


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """An empty folder, gone after the block; what a killed process left in it goes first."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path)


DROPPINGS = (
    *(".DS_Store", "._*", ".AppleDouble", ".Spotlight-V100", ".Trash*", ".directory"),
    *("Thumbs.db", "desktop.ini", ".nfs*", ".fuse_hidden*"),
    *("*~", ".#*", "[#]*[#]", ".*.sw?", "*.bak", "*.orig", "*.rej", "*.tmp"),
    *(".idea", ".vscode", ".ipynb_checkpoints", "__pycache__", "*.py[co]", ".*_cache", "node_modules"),
)
"""What file managers, editors, notebooks and tools leave behind, as .dvcignore and .gitignore have it too."""


def is_dropping(name: str) -> bool:
    """Whether a file or folder of this name is nobody's work, and must neither count nor be published."""
    return any(fnmatchcase(name, pattern) for pattern in DROPPINGS)


def files_below(folder: Path) -> list[Path]:
    """All files there, sorted by their paths, without droppings."""
    found = []
    for entry in sorted(folder.iterdir()):
        if is_dropping(entry.name):
            continue
        found += files_below(entry) if entry.is_dir() else [entry]
    return found


def copy_folder(source: Path, target: Path) -> None:
    """Copy all files below a folder but droppings; `target` must not be there yet."""

    def ignored(_: str, names: list[str]) -> list[str]:
        return [name for name in names if is_dropping(name)]

    shutil.copytree(source, target, ignore=ignored, copy_function=shutil.copyfile)


def code_files(*folders: Path) -> list[Path]:
    """All files of code below these folders, or these files themselves: of Python and what it runs."""
    found = (files_below(path) if path.is_dir() else [path] for path in folders)
    return [path for paths in found for path in paths if path.suffix in (".py", ".mjs", ".html", ".json")]


def code_sha256(paths: Iterable[Path], root: Path) -> str:
    """Of these files of code together, with their names below `root`."""
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
