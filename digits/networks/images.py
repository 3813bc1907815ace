"""Files of normalized images, as the normalize stage writes them or people bring them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch

from digits.common.about import About
from digits.common.errors import DigitsError

TENSORS = {
    "images": (torch.float32, "normalized, [n, 1, 28, 28]"),
    "labels": (torch.int64, "[n]"),
    "mean": (torch.float64, "what the images were normalized with, [1]"),
    "std": (torch.float64, "what the images were normalized with, [1]"),
}
HOW = "run the normalize stage again; docs/data.md tells how to bring your own images"


class ImagesError(DigitsError):
    """A file does not hold normalized images with their labels."""


class Images(NamedTuple):
    """What a file of normalized images holds."""

    images: torch.Tensor
    """float32 [n, 1, 28, 28], finite."""
    labels: torch.Tensor
    """int64 [n], each the index of a class."""
    mean: float
    std: float
    about: About


def read(path: Path, device: torch.device | str = "cpu") -> Images:
    """All of a file, checked, on a device.

    Raises:
        ImagesError: it is not whole, or a tensor is not what it must be; one line.
        MixedUpError: what it says about its images is broken.
    """
    with _opened(path, device) as file:
        about = About.of_tensors(file.metadata(), path)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, (kind, what) in TENSORS.items():
        found = tensors.get(name)
        if found is None or found.dtype != kind:
            stated = "it has none" if found is None else f"it has {_name(found.dtype)}"
            raise ImagesError(f"{path} must have {name}, {_name(kind)}, {what}; {stated}; {HOW}")
    images, labels, mean, std = (tensors[name] for name in TENSORS)
    if images.shape != (len(labels), 1, 28, 28) or mean.numel() != 1 or std.numel() != 1:
        shapes = ", ".join(f"{name} {list(tensors[name].shape)}" for name in TENSORS)
        raise ImagesError(f"{path} must have images [n, 1, 28, 28] with labels [n]; it has {shapes}; {HOW}")
    check_labels(labels, about, path)
    if not torch.isfinite(images.sum()):  # one pass: it is NaN or infinite where an image is
        number = int((~torch.isfinite(images).flatten(1).all(1)).nonzero()[0])
        raise ImagesError(f"{path}: image {number} has a pixel that is no finite number; {HOW}")
    return Images(images, labels, mean.item(), std.item(), about)


def about(path: Path) -> About:
    """What a file says about its images, which are not read. Raises as `read`."""
    with _opened(path) as file:
        return About.of_tensors(file.metadata(), path)


@contextmanager
def _opened(path: Path, device: torch.device | str = "cpu") -> Iterator[Any]:
    try:
        with safetensors.safe_open(path, framework="pt", device=str(device)) as file:
            yield file
    except safetensors.SafetensorError as error:
        raise ImagesError(f"{path} is no whole safetensors file ({error}); {HOW}") from None


def check_labels(labels: torch.Tensor, about: About, path: Path) -> None:
    """Raises ImagesError where a label is that of no class."""
    wrong = ((labels < 0) | (labels >= len(about.classes))).nonzero()
    if len(wrong):
        place = int(wrong[0])
        raise ImagesError(
            f"{path}: image {place} has the label {int(labels[place])}, but the {len(about.classes)} classes "
            f"of {about.title} end at {len(about.classes) - 1}; {HOW}"
        )


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
