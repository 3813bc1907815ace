"""A user's own images: a folder of PNG or JPEG files for each class."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from digits.common.about import About
from digits.data import raw
from digits.data.data_set import Wanted
from digits.data.folders import FolderError, grey_values
from digits.parameters import schema
from tests.project import ROOT


def draw(path: Path, kind: str, place: int = 0, **how: Any) -> None:
    """A circle or a square, dark on light, not in the middle."""
    image = Image.new("L", (90, 60), 255)
    shape = (10 + place, 8, 40 + place, 38)
    pen = ImageDraw.Draw(image)
    (pen.ellipse if kind == "circle" else pen.rectangle)(shape, outline=0, width=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Ten circles, five squares, and what a file manager left."""
    for number in range(10):
        draw(tmp_path / f"images/circle/{number}.png", "circle", number)
    for number in range(5):
        draw(tmp_path / f"images/square/below/{number}.JPG", "square", number)
    (tmp_path / "images/.DS_Store").touch()
    return tmp_path / "images"


def fetch(images: Path, **values: Any) -> About:
    """What the download stage makes of them, in `raw` beside them."""
    path = images.parent / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    own = {f"sets.folder.{key}": value for key, value in values.items()}
    schema.write(path, {"data.set": "folder", "data.images": str(images), **own})
    wanted = Wanted.read(path)
    return wanted.set.fetch(wanted, images.parent / "raw", images.parent / "kept")


def test_folders_become_files_as_mnist_has_them(images: Path) -> None:
    about = fetch(images)
    assert about.classes == ["circle", "square"]
    assert about.images == {"train": 12, "t10k": 3}
    training, test = (raw.read(images.parent / "raw", prefix, about) for prefix in (raw.TRAIN, raw.TEST))
    assert np.bincount(training.labels).tolist() == [8, 4]
    assert np.bincount(test.labels).tolist() == [2, 1]
    assert (training.images[0] == training.images[1]).mean() > 0.95, "wherever on the paper it was"
    assert training.images[0, :4].max() == 0
    assert training.images.max() > 200, "ink is high"
    assert fetch(images) == about, "the same seed gives the same files"
    assert fetch(images, seed=1).sha256 != about.sha256


def test_images_may_be_taken_as_they_are(images: Path) -> None:
    about = fetch(images, prepare=False, ink="light")
    assert not about.prepared
    image = raw.read(images.parent / "raw", raw.TRAIN, about).images[0]
    assert image[-1, -1] == 255, "light, as in the file"


def spoil(images: Path, fault: str) -> None:
    path = images / "circle/3.png"
    if fault == "text":
        path.write_text("no image")
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:150])
    elif fault == "blank":
        Image.new("L", (50, 50), 255).save(path)
    elif fault == "bomb":
        Image.new("1", (20_000, 10)).save(path)
    elif fault == "other":
        path.rename(path.with_suffix(".gif"))
    elif fault == "stray":
        draw(images / "alone.png", "circle")
    elif fault == "empty":
        (images / "triangle").mkdir()
    elif fault == "alone":
        draw(images / "triangle/0.png", "circle")
    elif fault == "huge":
        Image.new("1", (12_000, 9_000)).save(path)


FAULTS = {
    "text": "circle/3.png is no PNG or JPEG file, whatever its name says",
    "cut": "circle/3.png is not whole: ",
    "blank": "circle/3.png is blank; with sets.folder.prepare, there must be ink to centre",
    "bomb": "circle/3.png is 20000 by 10 pixels; 10000 is the most",
    "other": "circle/3.gif is no PNG or JPEG file; data.images must be a folder with",
    "stray": "alone.png belongs to no class; data.images must be a folder with",
    "huge": "circle/3.png is 12000 by 9000 pixels; 10000 is the most",
    "alone": "triangle has 1 image; one to learn from and one to test is the least",
    "empty": "triangle has no image; one to learn from and one to test is the least",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_image_is_one_line(images: Path, fault: str) -> None:
    spoil(images, fault)
    with pytest.raises(FolderError) as error:
        fetch(images)
    assert str(error.value).startswith(f"{images}/{FAULTS[fault]}")
    assert len(str(error.value).splitlines()) == 1


def test_a_folder_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"^data\.images is '.*/nowhere', which is no folder; "):
        fetch(tmp_path / "nowhere")
    (tmp_path / "one/only").mkdir(parents=True)
    with pytest.raises(FolderError, match=r"/one has 1 folder, not 2 to 256; "):
        fetch(tmp_path / "one")


def test_grey_values_are_those_that_a_person_sees(tmp_path: Path) -> None:
    def grey(image: Image.Image, **how: Any) -> list[int]:
        image.save(tmp_path / "image.png", **how)
        found: list[int] = grey_values(tmp_path / "image.png")[0].tolist()
        return found

    assert grey(Image.new("RGBA", (2, 1), (0, 0, 0, 0))) == [255, 255], "transparent is paper"
    assert grey(Image.new("RGB", (1, 1), (255, 0, 0))) == [76]
    assert grey(Image.fromarray(np.array([[0, 32_768, 65_535]], np.uint16))) == [0, 128, 255]
    assert grey(Image.new("1", (1, 1), 1)) == [255]
    turned = Image.new("L", (2, 1), 0)
    turned.putpixel((1, 0), 200)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    assert grey(turned, exif=exif) == [200, 0]
