"""data/raw/: the four files of a set as MNIST has them, and `set.json`, which says what they are."""

from pathlib import Path

from digits.common.about import About, MixedUpError
from digits.common.files import replacing, sha256
from digits.data import idx
from digits.data.datasets import Dataset, file_names, read_raw

TRAIN, TEST = "train", "t10k"
FILES = tuple(name for prefix in (TRAIN, TEST) for name in file_names(prefix))
ABOUT = "set.json"


def counts(folder: Path) -> dict[str, int]:
    """How many images the files in `folder` hold, by the beginning of their names. Raises IdxError."""
    found = {}
    for prefix in (TRAIN, TEST):
        path = folder / file_names(prefix)[0]
        found[prefix] = len(idx.images(path.read_bytes(), str(path)))
    return found


def write_about(folder: Path, about: About) -> None:
    """Say in `folder` what its files are."""
    with replacing(folder / ABOUT) as temporary:
        temporary.write_text(about.text + "\n", encoding="utf-8")


def read_about(folder: Path, wanted: str | None = None) -> About:
    """What `folder` says that its files are.

    Raises:
        MixedUpError: they are not of the set `wanted`, or the file is broken.
    """
    path = folder / ABOUT
    about = About.parse(path.read_bytes(), path)
    if wanted is not None:
        about.require(wanted, folder)
    return about


def read(folder: Path, prefix: str, about: About) -> Dataset:
    """The images of `train` or `t10k`, with their labels.

    Raises:
        MixedUpError: a file is not the one that `about` was written of.
        IdxError: a file is truncated or malformed, or has a label for which there is no class.
        DataError: there is not one label for each image.
    """
    for name in file_names(prefix):
        if sha256(folder / name) != about.sha256.get(name):
            raise MixedUpError(
                f"{folder / name} is not the file of {about.title} that {folder / ABOUT} names; run the "
                "download stage again, and bring own images in with data.set: folder (docs/data.md)"
            )
    return read_raw(folder, prefix, len(about.classes))


def require_source(folder: Path, about: About, made: About, path: Path) -> None:
    """Find out whether the normalized file at `path`, which says `made`, was made from the raw images.

    Raises:
        MixedUpError: it was not, so what is measured with one does not hold for the other.
    """
    if (made.set, made.sha256) != (about.set, about.sha256):
        raise MixedUpError(
            f"{path} was not made from {folder}, which holds {about.title}, and whose raw images this stage "
            "runs; bring own images in with data.set: folder (docs/data.md), and let normalize run"
        )
