"""Digits from elsewhere, and what the page's preparation makes of them."""

import hashlib

import numpy as np
import pytest

from digits.shift import printed, sources, strokes
from digits.shift.sections import COLLECTIONS

PUBLISHED = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
"""The SHA-256 of sklearn/datasets/data/digits.csv.gz in scikit-learn 1.5.2."""
SIZES = {"drawings": 260, "other_writers": 1797, "printed": 80}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_each_collection_is_prepared_and_the_same_every_time(name: str) -> None:
    found, again = (sources.collection(name, 5) for _ in range(2))
    assert found.images.shape == (SIZES.get(name, 120), 28, 28)
    assert len(found.labels) == len(found.images)
    assert found.images.tobytes() == again.images.tobytes()
    ink = found.images.astype(float)
    for axis in (1, 2):
        along = ink.sum(axis=axis)
        assert np.abs(along @ np.arange(28) / along.sum(axis=1) - 14).max() < 0.7, "centred"
    boxes = [max(np.ptp(np.nonzero(image)[axis]) for axis in (0, 1)) + 1 for image in found.images]
    assert max(boxes) <= 20
    assert np.median(boxes) == 20


def test_without_preparation_a_sheet_is_taken_whole() -> None:
    whole = sources.collection("serif_ones", 5, prepared=False)
    assert whole.images.shape == (120, 28, 28)
    assert not np.array_equal(whole.images, sources.collection("serif_ones", 5).images)


def test_the_other_writers_are_those_published_with_all_ten_digits() -> None:
    assert hashlib.sha256(sources.OTHER_WRITERS.read_bytes()).hexdigest() == PUBLISHED
    sheets, labels = sources.other_writers()
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.max(sheets) == 255
    assert np.min(sheets) == 0


@pytest.mark.parametrize("name", strokes.FORMS)
def test_a_digit_in_many_hands_is_never_the_same(name: str) -> None:
    found, other = sources.collection(name, 5), sources.collection(name, 6)
    assert len({image.tobytes() for image in found.images}) == 120
    assert set(found.labels) == {strokes.FORMS[name][0]}
    assert not np.array_equal(found.images, other.images)


def test_in_another_hand_every_corner_is_elsewhere() -> None:
    random = np.random.default_rng(1)
    hands = [strokes.in_another_hand([90, 70, 190, 210], np.eye(2), random) for _ in range(50)]
    moved = np.array(hands)[:, [0, 1, -2, -1]] - [90, 70, 190, 210]
    assert 5 < np.abs(moved).max() <= 6
    assert np.abs(np.corrcoef(moved.T) - np.eye(4)).max() < 0.5, "each by itself"


def test_a_character_is_printed_in_each_face() -> None:
    sheets = printed.printed("17")
    assert len(sheets) == 2 * len(printed.FACES)
    assert len({sheet.tobytes() for sheet in sheets}) == len(sheets)
    edge = [sheet[:, [0, -1]].max() + sheet[[0, -1]].max() for sheet in sheets]
    assert max(edge) == 0, "it fits"


@pytest.mark.parametrize("digit", printed.DIGITS)
def test_printed_digits_have_their_own_labels(digit: str) -> None:
    found = sources.collection("printed", 0)
    assert np.array_equal(found.images[found.labels == int(digit)], sources.to_images(printed.printed(digit)))


def test_letters_have_no_digit_among_them() -> None:
    assert len(sources.letters()) == len(printed.LETTERS) * len(printed.FACES)
    assert not set("IlOoSsZzBbgq0123456789") & set(printed.LETTERS)


def test_a_blank_sheet_is_left_out() -> None:
    blank, dot = np.zeros((50, 50), np.uint8), np.zeros((50, 50), np.uint8)
    dot[20:30, 20:30] = 255
    assert len(sources.to_images([blank, dot])) == 1
    assert len(sources.to_images([blank, dot], prepared=False)) == 2


def test_smoothing_keeps_the_ends_and_cuts_the_corners() -> None:
    found = np.reshape(strokes.smooth([0, 0, 8, 0, 8, 8]), (-1, 2))
    assert found[0].tolist() == [0, 0]
    assert found[-1].tolist() == [8, 8]
    assert [8.0, 0.0] not in found.tolist()
    assert len(found) == 12
