"""A user's own images: a folder of PNG or JPEG files for each class."""

import os
import tracemalloc
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
    assert fetch(images, prepare="none", seed=1).sha256 != fetch(images, prepare="none").sha256


def test_images_may_be_taken_as_they_are(images: Path) -> None:
    about = fetch(images, prepare="none", ink="light")
    assert not about.prepared
    image = raw.read(images.parent / "raw", raw.TRAIN, about).images[0]
    assert image[-1, -1] == 255, "light, as in the file"


@pytest.mark.parametrize("ink", ["dark", "light"])
def test_photos_are_prepared_as_the_page_prepares_them(images: Path, ink: str) -> None:
    """On paper that is nowhere white and lit from one side, the same shapes make almost the same images."""
    clean = raw.read(images.parent / "raw", raw.TRAIN, fetch(images)).images
    for path in images.rglob("*.*g"):
        light = np.linspace(110, 220, 90)
        photo = np.asarray(Image.open(path)) / 255 * light
        Image.fromarray((photo if ink == "dark" else 255 - photo).astype(np.uint8)).save(path)
    about = fetch(images, ink=ink)
    found = raw.read(images.parent / "raw", raw.TRAIN, about).images
    assert np.abs(found.astype(int) - clean).mean() < 5


def spoil(images: Path, fault: str) -> None:
    path = images / "circle/3.png"
    if fault == "text":
        path.write_text("no image")
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:150])
    elif fault == "blank":
        Image.new("L", (50, 50), 255).save(path)
    elif fault == "solid":
        ImageDraw.Draw(image := Image.new("L", (50, 50), 255)).ellipse((5, 5, 45, 45), fill=0)
        image.save(path)
    elif fault == "bomb":
        Image.new("1", (12_000, 9_000)).save(path)
    elif fault == "large":
        Image.new("1", (10_000, 5_001)).save(path)
    elif fault == "larger":
        Image.new("1", (20_000, 10_000)).save(path)
    elif fault == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif fault == "link":
        path.unlink()
        path.symlink_to("nowhere.png")
    elif fault == "moving":
        (images / "circle/\x1b[2J.png").touch()
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
    "blank": "circle/3.png has no lines that stand out from its paper; ",
    "solid": "circle/3.png has no lines that stand out from its paper; sets.folder.prepare: drawing takes",
    "bomb": "circle/3.png is 12000 by 9000 pixels; 10000 is the most",
    "large": "circle/3.png is 10000 by 5001 pixels; 50,000,000 in all are the most",
    "larger": "circle/3.png is too large: ",
    "pipe": "circle/3.png is no regular file, nor a link to one",
    "link": "circle/3.png is no regular file, nor a link to one",
    "moving": "circle/\\x1b[2J.png is no PNG or JPEG file, whatever its name says",
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


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"\xff", r"\udcff"),
        (b"two\nlines", r"two\nlines"),
        (b"\x1b[31mred", r"\x1b[31mred"),
        ("\u202edesrever".encode(), r"\u202edesrever"),
    ],
)
def test_a_class_has_a_name_that_can_be_shown(images: Path, name: bytes, shown: str) -> None:
    os.rename(images / "square", os.fsencode(images) + b"/" + name)
    with pytest.raises(FolderError) as error:
        fetch(images)
    assert str(error.value).startswith(f"{images}/{shown} has characters in its name that cannot be shown; ")
    assert len(str(error.value).splitlines()) == 1


def test_it_may_have_spaces_and_any_script(images: Path) -> None:
    (images / "square").rename(images / "正方形\u3000\xa0 ☐")
    assert fetch(images).classes == ["circle", "正方形\u3000\xa0 ☐"]


def test_what_a_camera_wrote_may_be_unreadable(tmp_path: Path) -> None:
    draw(tmp_path / "image.jpg", "circle", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(9))
    plain = grey_values(tmp_path / "image.jpg")
    draw(tmp_path / "image.jpg", "circle")
    assert (plain == grey_values(tmp_path / "image.jpg")).all()


def test_images_are_made_grey_in_little_memory(tmp_path: Path) -> None:
    """Beside what Pillow itself holds, which is not counted here."""
    for mode in ("I;16", "RGBA"):
        Image.new(mode, (1000, 6000), 1).save(tmp_path / "image.png", compress_level=1)
        tracemalloc.start()
        grey_values(tmp_path / "image.png")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 2 * 1000 * 6000


def test_a_drawing_lies_on_clean_paper(images: Path) -> None:
    Image.new("L", (50, 50), 255).save(images / "circle/3.png")
    with pytest.raises(
        FolderError, match=r"circle/3\.png is blank; with sets\.folder\.prepare, there must be"
    ):
        fetch(images, prepare="drawing")
    Image.new("L", (50, 50), 200).save(images / "circle/3.png")
    with pytest.raises(FolderError, match=r"circle/3\.png lies on no clean paper, all of it would be ink; "):
        fetch(images, prepare="drawing")
    ImageDraw.Draw(image := Image.new("L", (50, 50), 255)).ellipse((5, 5, 45, 45), fill=0)
    image.save(images / "circle/3.png")
    assert fetch(images, prepare="drawing").prepared


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
