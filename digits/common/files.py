"""Files that are either as before or complete."""

import errno
import fcntl
import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path


@contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """A temporary path to write to; it becomes `path` when the block ends well, and is removed otherwise.

    Each call has a path of its own, so of several writers the last one wins, with a file that is whole. What
    killed ones left beside `path` is removed.

    Args:
        mode: the file's permissions.

    Raises:
        OSError: of the disk, naming `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), _own_folder(path.parent, path.name) as folder:
        temporary = folder / path.name
        yield temporary
        temporary.chmod(mode)  # some libraries create files that only their owner may read
        os.replace(temporary, path)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path`, under a name that no other call has.

    It is gone after the block; what killed processes left there goes first.

    Raises:
        OSError: of the disk, naming `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), _own_folder(path.parent, path.name) as folder:
        yield folder


OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the disk name this path: that of a write names none, or a temporary one."""
    try:
        yield
    except shutil.Error as error:  # of several files that could not be copied
        raise OSError(None, error.args[0][0][2], str(path)) from error
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def _own_folder(parent: Path, name: str) -> Iterator[Path]:
    """A new folder `.NAME.….part`, locked: between containers, too, a lock tells who is still at work."""
    for left in parent.glob(f".{glob.escape(name)}.*part"):
        _remove_unless_locked(left)
    lock = None
    while lock is None:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=f".{name}.", suffix=".part"))
        lock = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """None where somebody took the folder for a leftover before it was locked."""
    try:
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    fcntl.flock(lock, fcntl.LOCK_EX)
    if folder.exists():
        return lock
    os.close(lock)
    return None


def _remove_unless_locked(folder: Path) -> None:
    with suppress(OSError):  # it is locked, no folder, another user's, or gone: it is not ours to remove
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
        finally:
            os.close(lock)


DROPPINGS = (
    *(".DS_Store", "._*", ".AppleDouble", ".Spotlight-V100", ".Trash*", ".directory"),
    *("Thumbs.db", "desktop.ini", "Icon[!!-~]", ".nfs*", ".fuse_hidden*"),
    *("*~", ".#*", "[#]*[#]", ".*.sw?", "*.bak", "*.orig", "*.rej", "*.tmp"),
    *(".idea", ".vscode", ".ipynb_checkpoints", "__pycache__", "*.py[co]", ".*_cache", "node_modules"),
)
"""What file managers, editors, notebooks and tools leave behind, as .dvcignore and .gitignore have it too."""


def is_dropping(name: str) -> bool:
    """Whether a file or folder of this name is nobody's work, and must neither count nor be published."""
    return any(fnmatchcase(name, pattern) for pattern in DROPPINGS)


def files_below(folder: Path) -> list[Path]:
    """All files there, sorted by their paths, without droppings.

    Links to folders are followed, but each folder is walked once, however many links lead to it: two that
    lead back double the paths with every step.
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    links = [folder]
    for link in links:  # what is linked comes last, or it would be found by another name than its own
        inside = [link]
        while inside:
            place = inside.pop()
            status = place.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            for entry in sorted(place.iterdir()):
                if is_dropping(entry.name):
                    continue
                if not entry.is_dir():
                    found.append(entry)
                else:
                    (links if entry.is_symlink() else inside).append(entry)
    return sorted(found)


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
