"""The report's figures from answers that are known, its gates, its picture."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from numpy.typing import NDArray

from digits.common.about import DIGITS, About
from digits.common.parameters_file import ParameterError
from digits.data.datasets import Dataset, evenly
from digits.shift import report
from digits.shift.answers import Answers
from digits.shift.changes import CHANGES
from digits.shift.picture import picture, words
from digits.shift.report import Row, ShiftError, check, measure, summary
from digits.shift.sections import COLLECTIONS, Shift

VALUES = Shift(images=6, seed=1, min_accuracy={})
THRESHOLD = 0.5


def always_one(images: NDArray[np.uint8]) -> Answers:
    """Every image is a 1; refused where more than half is ink, unsure where the first pixel is light grey."""
    ink = images.mean(axis=(1, 2)) / 255
    light = (images[:, 0, 0] > 0) & (images[:, 0, 0] < 100)
    sure = np.where(light, 0.25, 0.95).astype(np.float32)
    return Answers(np.ones(len(images), np.int64), sure, (1 - ink).astype(np.float32), THRESHOLD)


@pytest.fixture(scope="module")
def test_images() -> Dataset:
    images = np.zeros((12, 28, 28), np.uint8)
    images[:, 6:22, 12:16] = 255
    return Dataset(images, np.array([1, 7] * 6, np.uint8))


@pytest.fixture(scope="module")
def rows(test_images: Dataset) -> list[Row]:
    return list(measure(always_one, test_images, About.unnamed(), VALUES))


def by(rows: list[Row], name: str) -> list[Row]:
    return [row for row in rows if row.name == name]


def test_there_is_a_row_for_everything(rows: list[Row]) -> None:
    assert [row.name for row in rows if row.kind == "change"] == [name for name in CHANGES for _ in range(3)]
    assert [row.severity for row in by(rows, "fog")] == [1, 2, 3]
    assert [row.name for row in rows if row.kind == "collection"] == list(COLLECTIONS)
    assert [row.kind for row in rows[:1] + rows[-1:]] == ["test", "letters"]


def test_the_figures_are_those_of_the_answers(rows: list[Row], test_images: Dataset) -> None:
    (test,) = by(rows, report.TEST)
    right = (test_images.labels[evenly(12, 6)] == 1).mean()
    assert (test.images, test.accuracy) == (6, right)
    assert (test.sure, test.refused, test.sure_and_wrong) == (1, 0, 1 - right)
    assert test.probability == pytest.approx(0.95)
    mild, _, severe = by(rows, "brightness")
    assert (mild.sure, mild.refused, mild.sure_and_wrong) == (0, 0, 0)
    assert (severe.sure, severe.refused, severe.sure_and_wrong) == (1, 1, 0)
    assert (by(rows, "serif_ones")[0].accuracy, by(rows, "open_fours")[0].accuracy) == (1, 0)
    assert by(rows, "printed")[0].accuracy == 0.1
    (letters,) = by(rows, report.LETTERS)
    assert (letters.accuracy, letters.sure, letters.sure_and_wrong) == (None, 1, 1)
    assert test.samples.shape == (6, 28, 28)
    assert letters.samples.shape == (9, 28, 28)


def test_other_classes_are_measured_on_their_own_images_alone(test_images: Dataset) -> None:
    clothes = About.unnamed().model_copy(update={"classes": [*DIGITS[:9], "boot"]})
    found = list(measure(always_one, test_images, clothes, VALUES))
    assert {row.kind for row in found} == {"test", "change"}
    figures = summary(found)
    assert figures["collections"] == {}
    assert report.LETTERS not in figures
    with pytest.raises(ShiftError, match="of printed, which is not measured: the classes"):
        check(figures, {"printed": 0.5})


def test_the_mean_is_over_changes_and_severities(rows: list[Row]) -> None:
    figures = summary(rows)
    assert set(figures["changes"]) == set(CHANGES)
    assert figures["mean"] == pytest.approx(np.mean(list(figures["changes"].values())))
    fog = [
        row._replace(accuracy=share) for row, share in zip(by(rows, "fog"), (0.94, 0.933, 0.926), strict=True)
    ]
    others = [row for row in rows if row.name != "fog"]
    assert summary([*others, *fog])["changes"]["fog"] == 0.933, "no rest of a sum"
    assert figures["letters"] == {"sure": 1, "sure_and_accepted": 1}
    assert figures["images"] == 6


def test_an_accuracy_below_its_minimum_is_refused_in_a_line_each(rows: list[Row]) -> None:
    figures = summary(rows)
    check(figures, {"serif_ones": 1.0, "printed": 0.1, "open_fours": 0.0, "mean": 0.0})
    with pytest.raises(ShiftError) as error:
        check(figures, {"serif_ones": 1.0, "printed": 0.2, "open_fours": 0.5})
    assert str(error.value).splitlines() == [
        "shift.min_accuracy asks for 20.00% of printed, which is 10.00%",
        "shift.min_accuracy asks for 50.00% of open_fours, which is 0.00%",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{wind: 0.5}", "allowed: mean, shot_noise, impulse_noise"),
        ("{fog: 2}", "min_accuracy.fog is 2; allowed: less than or equal to 1"),
        ("{fog: -0.1}", "min_accuracy.fog is -0.1"),
    ],
)
def test_a_minimum_that_cannot_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"shift: {{images: 10, seed: 1, min_accuracy: {text}}}\n")
    with pytest.raises(ParameterError, match=r"params\.yaml: shift\.min_accuracy") as error:
        Shift.read(path)
    assert message in str(error.value)


@pytest.mark.parametrize(("count", "wanted", "found"), [(10, 3, [0, 4, 9]), (3, 10, [0, 1, 2]), (5, 1, [0])])
def test_images_are_chosen_evenly(count: int, wanted: int, found: list[int]) -> None:
    assert evenly(count, wanted).tolist() == found


def test_every_row_is_in_the_picture_and_its_bytes_are_those_of_the_rows(
    rows: list[Row], tmp_path: Path
) -> None:
    picture(rows, tmp_path / "one.png")
    picture(rows, tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    blank = [row._replace(samples=np.zeros_like(row.samples)) for row in rows]
    picture(blank, tmp_path / "blank.png")
    found, without = (matplotlib.image.imread(tmp_path / name)[..., 0] for name in ("one.png", "blank.png"))
    differs = found != without
    assert differs.any(axis=1).mean() > 0.5
    assert differs[:, : differs.shape[1] // 2].any()
    assert differs[:, differs.shape[1] // 2 :].any()


def test_the_words_of_a_row(rows: list[Row]) -> None:
    assert words(by(rows, "printed")[0]) == "10.0%, 0% refused"
    assert words(by(rows, "letters")[0]) == "100% answered with more than 90%, 0% refused"
