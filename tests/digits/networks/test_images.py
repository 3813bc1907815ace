"""Normalized images that people bring are checked: one line says what is wrong."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from digits.common.about import METADATA, About, MixedUpError
from digits.networks import images
from digits.networks.images import ImagesError

Tensors = dict[str, torch.Tensor]


def good() -> Tensors:
    return {
        "images": torch.randn(500, 1, 28, 28, generator=torch.Generator().manual_seed(1)),
        "labels": torch.arange(500) % 10,
        "mean": torch.tensor([0.1307], dtype=torch.float64),
        "std": torch.tensor([0.3081], dtype=torch.float64),
    }


def clothes() -> About:
    found = About.unnamed().model_dump() | {"set": "clothes", "classes": [*"abcdefghijklmnopqr"]}
    return About.model_validate(found)


def test_what_is_right_is_read(tmp_path: Path) -> None:
    save_file(good(), tmp_path / "file")
    found = images.read(tmp_path / "file")
    assert torch.equal(found.images, good()["images"])
    assert (found.mean, found.std, found.about) == (0.1307, 0.3081, About.unnamed())
    save_file(good() | {"labels": torch.arange(500) % 18}, tmp_path / "file", {METADATA: clothes().text})
    assert images.read(tmp_path / "file").about == images.about(tmp_path / "file") == clothes()
    empty = good() | {"images": good()["images"][:0], "labels": good()["labels"][:0]}
    save_file(empty, tmp_path / "file")
    assert len(images.read(tmp_path / "file").labels) == 0, "as there may be none for validation"


def with_nan(found: Tensors) -> torch.Tensor:
    pictures = found["images"].clone()
    pictures[123, 0, 4, 5] = torch.nan
    return pictures


FAULTS: dict[str, tuple[Tensors, str]] = {
    "label": ({"labels": torch.arange(500) % 18}, "image 10 has the label 10, but the 10 classes of images"),
    "negative": ({"labels": torch.arange(500) % 10 - 1}, "image 0 has the label -1, but the 10 classes"),
    "uint8": ({"images": torch.zeros(500, 1, 28, 28, dtype=torch.uint8)}, "images, float32, .* it has uint8"),
    "float64": ({"images": torch.zeros(500, 1, 28, 28).double()}, "images, float32, .* it has float64"),
    "large": (
        {"images": torch.zeros(500, 1, 32, 32)},
        r"images \[n, 1, 28, 28\] .* images \[500, 1, 32, 32\]",
    ),
    "int32": ({"labels": torch.zeros(500, dtype=torch.int32)}, r"labels, int64, \[n\]; it has int32"),
    "fewer": ({"labels": torch.zeros(499, dtype=torch.int64)}, r"with labels \[n\]; .* labels \[499\]"),
    "NaN": ({"images": with_nan(good())}, "image 123 has a pixel that is no finite number"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_one_line(tmp_path: Path, fault: str) -> None:
    changed, message = FAULTS[fault]
    save_file(good() | changed, tmp_path / "file")
    with pytest.raises(ImagesError, match=f"^{tmp_path}/file.*{message}.*docs/data.md") as error:
        images.read(tmp_path / "file")
    assert "\n" not in str(error.value)


def test_what_is_missing_is_one_line(tmp_path: Path) -> None:
    found = good()
    del found["mean"]
    save_file(found, tmp_path / "file")
    with pytest.raises(ImagesError, match=r"must have mean, float64, .* it has none"):
        images.read(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"nothing")
    for read in (images.read, images.about):
        with pytest.raises(ImagesError, match="is no whole safetensors file"):
            read(tmp_path / "file")


def test_what_a_file_says_of_itself_may_be_broken(tmp_path: Path) -> None:
    for said, message in (("{", "is no JSON"), ('{"set": 3}', "file: set is 3")):
        save_file(good(), tmp_path / "file", {METADATA: said})
        with pytest.raises(MixedUpError, match=message):
            images.about(tmp_path / "file")


def test_files_of_different_sets_do_not_go_together() -> None:
    here, there = Path("here"), Path("there")
    one, other = clothes(), clothes().model_copy(update={"sha256": {"train-images": "ab" * 32}})
    one.require_same(one, here, there)
    with pytest.raises(MixedUpError, match=r"^here is of clothes with 18 classes, but there of clothes abab"):
        one.require_same(other, here, there)
    with pytest.raises(MixedUpError, match="here is of unnamed with 10 classes, but there of clothes"):
        About.unnamed().require_same(one, here, there)
    About.unnamed().require_same(one.model_copy(update={"classes": About.unnamed().classes}), here, there)
