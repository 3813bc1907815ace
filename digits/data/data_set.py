"""What a set of images has to be, and how published ones are fetched."""

from __future__ import annotations

import gzip
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import Field

from digits.common import parameters_file
from digits.common.about import About, Data
from digits.common.choices import choice, names
from digits.common.files import replacing, scratch_folder, sha256
from digits.common.parameters_file import ParameterError, Path_
from digits.common.section import Section, check
from digits.data import raw
from digits.data.download import RawFile, download, fault_of
from digits.data.sections import PUBLISHED, Download

MinAccuracy = Annotated[float, Field(ge=0, le=1, description="instead of evaluate.min_accuracy")]
"""The gate of a set."""


@dataclass(frozen=True)
class Wanted:
    """What params.yaml says of the images to fetch."""

    data: Data
    download: Download
    set: DataSet

    @classmethod
    def read(cls, path: Path_ = "params.yaml") -> Self:
        """Raises ParameterError: the file is missing or broken, or a value is not allowed."""
        tree = parameters_file.load(path, {})
        data, download = check(Data, tree, Data.key, path), check(Download, tree, Download.key, path)
        if parameters_file.get(tree, f"sets.{data.set}") is None:
            raise ParameterError(f"{path}: {without_values(data.set)}")
        values = check(choice("digits.sets", data.set, DataSet), tree, f"sets.{data.set}", path)
        return cls(data, download, values)


class DataSet(Section):
    """A set of images to choose, with its values; each file of `digits/sets` has one."""

    title: ClassVar[str]
    """As its authors call it."""
    thing: ClassVar[str]
    """What an image shows, with its article: `a digit`."""
    license: ClassVar[str]

    @abstractmethod
    def fetch(self, wanted: Wanted, folder: Path, kept: Path, log: Callable[[str], None] = print) -> About:
        """Put the four files of `raw.FILES` into `folder`, and tell what they are.

        Args:
            wanted: all that params.yaml says of it.
            kept: a folder for what has come over the network, from where it is taken the next time.

        Raises:
            DigitsError: they cannot be had, or are not what they must be; in one line for each cause.
        """

    def about(self, name: str, folder: Path, **of_set: Any) -> About:
        """What the four files in `folder` are, read from the files themselves where they can tell."""
        return About(
            set=name,
            title=self.title,
            thing=self.thing,
            license=self.license,
            images=raw.counts(folder),
            sha256={file: sha256(folder / file) for file in raw.FILES},
            **of_set,
        )


class Published(DataSet):
    """A set whose four files are published as MNIST's are, with known hashes."""

    classes: ClassVar[tuple[str, ...]]
    prepared: ClassVar[bool]
    mirrors: ClassVar[tuple[str, ...]]
    """Tried in this order."""
    files: ClassVar[tuple[RawFile, ...]]
    mean: ClassVar[float | None] = None
    std: ClassVar[float | None] = None
    """Of the training images, grey values scaled to [0, 1], with four decimals."""

    def fetch(self, wanted: Wanted, folder: Path, kept: Path, log: Callable[[str], None] = print) -> About:
        """See `DataSet.fetch`. Raises DownloadError: no mirror gave the files that were published."""
        log(f"data.set is {wanted.data.set}: {self.title}")
        self._put(wanted, folder, kept, log)
        return self.about(
            wanted.data.set,
            folder,
            classes=list(self.classes),
            prepared=self.prepared,
            mean=self.mean,
            std=self.std,
        )

    def _put(self, wanted: Wanted, folder: Path, kept: Path, log: Callable[[str], None]) -> None:
        """Fetch the files of the set into `folder`."""
        tell_of_others(wanted, self.files, log)
        self._download(wanted, folder, kept, log)

    def _download(
        self, wanted: Wanted, folder: Path, kept: Path, log: Callable[[str], None], as_is: bool = False
    ) -> None:
        values = wanted.download
        mirrors = [
            m for mirror in values.mirrors for m in (self.mirrors if mirror == PUBLISHED else [mirror])
        ]
        download(
            mirrors,
            folder,
            values.attempts,
            values.timeout,
            files=self.files,
            kept=kept,
            log=log,
            as_is=as_is,
            advice=f"data.set is {wanted.data.set!r}, of which the published files alone are taken; others: "
            f"{', '.join(names('digits.sets'))}; docs/data.md tells how to bring your own images.",
        )


class Packed(Published):
    """A set of which the hashes of what is handed out are known: of packed files, not of those in them."""

    def _put(self, wanted: Wanted, folder: Path, kept: Path, log: Callable[[str], None]) -> None:
        with scratch_folder(folder) as scratch:
            self._download(wanted, scratch, kept, log, as_is=True)
            self.unpack(scratch, folder)

    def unpack(self, packed: Path, folder: Path) -> None:
        """Make the four files in `folder` of those in `packed`: here, of each NAME.gz the file NAME."""
        for file in self.files:
            content = gzip.decompress((packed / file.name).read_bytes())
            write(folder / file.name.removesuffix(".gz"), content)


def write(path: Path, content: bytes) -> None:
    """Put a file into data/raw/, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def tell_of_others(wanted: Wanted, files: Sequence[RawFile], log: Callable[[str], None]) -> None:
    """Name what lies in a folder among the mirrors and is of another set, though nobody need ask there."""
    for mirror in wanted.download.mirrors:
        folder = Path(url2pathname(urlsplit(mirror).path)) if mirror.startswith("file:") else None
        for file in files if folder else ():
            assert folder is not None
            if (folder / file.name).is_file() and (fault := fault_of(folder / file.name, file)):
                log(f"{mirror}: {file.name} {fault}; it is not used, as data.set is {wanted.data.set!r}")


def without_values(name: str) -> str:
    """That `data.set` names a set that has no values."""
    return f"data.set is {name!r}, but there is no sets.{name} with its values"
