from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from digits.common.about import DIGITS
from digits.evaluation import pictures


@pytest.mark.parametrize("count", [0, 1, 8, 9])
def test_every_mistake_is_in_the_picture(tmp_path: Path, count: int) -> None:
    path = tmp_path / "mistakes.png"
    images = np.zeros((count, 28, 28), np.float32)
    images[:, 4:24, 12:16] = 1
    pictures.mistakes(images, ["1"] * count, ["7"] * count, [0.9] * count, 50, path)
    picture = matplotlib.image.imread(path)[..., :3]
    black = (picture.max(axis=2) < 0.01).mean() * picture.shape[0] * picture.shape[1]
    ink = 20 * 4 * (picture.shape[1] / (8 * 38)) ** 2  # pixels of one drawn digit
    assert black == pytest.approx(count * ink, rel=0.15, abs=10)


def test_the_same_results_are_the_same_file(tmp_path: Path) -> None:
    matrix = np.eye(10, dtype=np.int64) * 90 + 1
    for name in ("one", "two"):
        pictures.confusion(matrix, DIGITS, "90 %", tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    pictures.confusion(matrix.T + np.tri(10, dtype=np.int64), DIGITS, "90 %", tmp_path / "three")
    pictures.confusion(matrix, [f"{name} apples" for name in DIGITS], "90 %", tmp_path / "four")
    assert len({(tmp_path / name).read_bytes() for name in ("one", "three", "four")}) == 3


@pytest.mark.parametrize("count", [2, 26])
def test_each_class_has_its_row(tmp_path: Path, count: int) -> None:
    path = tmp_path / "confusion.png"
    pictures.confusion(np.eye(count, dtype=np.int64), ["a class of a long name"] * count, "", path)
    blue = matplotlib.image.imread(path)[..., :3] @ [-1, 0, 1] > 0.25  # its right answers
    rows = np.flatnonzero(np.diff(blue.any(axis=1).astype(int)) == 1)
    assert blue.any(axis=0).sum() > 0.5 * blue.shape[1]
    assert len(rows) >= 1


def test_names_without_room_are_cut() -> None:
    assert pictures.shortened("Ankle boot") == "Ankle boot"
    assert pictures.shortened("a class of a long name") == "a class of …"


def test_any_name_can_be_drawn(tmp_path: Path) -> None:
    """Without a warning of matplotlib, which is an error here."""
    names = ["日本", "$x^$", "a\nb", "\\frac", "Ω é ¼"]
    pictures.confusion(np.eye(len(names), dtype=np.int64), names, "", tmp_path / "confusion.png")
    pictures.mistakes(np.zeros((5, 28, 28)), names, names[::-1], [0.9] * 5, 5, tmp_path / "mistakes.png")
    assert pictures.shortened("日") == r"\u65e5"
    assert pictures.shortened("Ω é ¼") == "Ω é ¼"


def test_an_empty_row_is_no_error(tmp_path: Path) -> None:
    pictures.confusion(np.zeros((10, 10), np.int64), DIGITS, "nothing", tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 1000


def test_the_picture_of_robustness_shows_both_curves(tmp_path: Path) -> None:
    pictures.robustness([0, 1, 4], [0.9, 0.8, 0.1], [0.9, 0.85, 0.7], tmp_path / "one")
    pictures.robustness([0, 1, 4], [0.9, 0.8, 0.1], [0.9, 0.85, 0.1], tmp_path / "two")
    pictures.robustness([0, 1, 4], [0.9, 0.8, 0.1], [0.9, 0.85, 0.7], tmp_path / "three")
    pictures.robustness([0, 1, 4], [0.9, 0.7, 0.1], [0.9, 0.85, 0.7], tmp_path / "four")
    files = [(tmp_path / name).read_bytes() for name in ("one", "two", "three", "four")]
    assert files[0] == files[2]
    assert len(set(files)) == 3
