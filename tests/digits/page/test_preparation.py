"""Drawings become images as MNIST has them, wherever and however large they were drawn."""

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.page.preparation import prepare, rasterize, shrink

SEVEN = [[60.0, 60.0, 200.0, 60.0, 120.0, 220.0]]


def prepared(drawing: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = prepare(drawing)
    assert image is not None
    return image


def test_paper_alone_is_no_image() -> None:
    assert prepare(np.zeros((280, 280), np.uint8)) is None
    assert not rasterize([], 280, 24).any()


def test_a_line_has_its_width_round_ends_and_grey_edges() -> None:
    ink = rasterize([[40, 50, 60, 50]], 100, 10)
    assert ink[:, 50].tolist().count(255) == 10
    assert ink[50].nonzero()[0].tolist() == list(range(35, 65))
    assert ink[45, 35] == 0, "the end is round"
    assert 0 < ink[46, 36] < 255
    assert (ink == ink[:, ::-1]).all()
    assert rasterize([[30, 30]], 60, 10).sum() > 0, "one point is a dot"


def test_the_longer_side_becomes_20_pixels_and_proportions_stay() -> None:
    drawing = np.zeros((280, 280), np.uint8)
    drawing[30:130, 200:250] = 255
    rows, columns = prepared(drawing).nonzero()
    assert np.ptp(rows) + 1 == 20
    assert np.ptp(columns) + 1 == 10


def test_place_and_size_do_not_matter() -> None:
    image = prepared(rasterize(SEVEN, 280, 24))
    moved = [[number + 25 for number in SEVEN[0]]]
    assert (prepared(rasterize(moved, 280, 24)) == image).all()
    half = [[number / 2 for number in SEVEN[0]]]
    difference = prepared(rasterize(half, 280, 12)).astype(int) - image
    assert np.abs(difference).mean() < 2


def test_the_centre_of_mass_is_in_the_middle() -> None:
    image = prepared(rasterize(SEVEN, 280, 24)).astype(float)
    for axis in (0, 1):
        centre = image.sum(axis=1 - axis) @ np.arange(28) / image.sum()
        assert centre == pytest.approx(14, abs=0.5)


def test_what_is_prepared_stays_as_it_is() -> None:
    image = prepared(rasterize(SEVEN, 280, 24))
    assert (prepared(image) == image).all()


def test_thin_things_fit() -> None:
    drawing = np.zeros((50, 400), np.uint8)
    drawing[7, 10:390] = 1
    drawing[7, 389] = 255
    assert prepared(drawing).any()


def test_shrinking_averages_areas() -> None:
    drawing = np.zeros((280, 280), np.uint8)
    drawing[:10, :5] = 200
    image = shrink(drawing)
    assert image[0, 0] == 100
    assert image.sum() == 100
