"""The fifteen changes: reproducible, as severe as they say, and each what its name says."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.shift import edges, geometry, lenses, stains
from digits.shift.changes import CHANGES, CHUNK, SEVERITIES, changed
from digits.shift.grey import Grey, clouds, rounded, smoothed

Images = NDArray[np.uint8]
COUNT = 40


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.fixture
def bars() -> Images:
    """Upright bars of ink, six pixels wide and eighteen high, the same in all images."""
    images = np.zeros((COUNT, 28, 28), np.uint8)
    images[:, 5:23, 11:17] = 255
    return images


def middle(images: Grey, axis: int) -> NDArray[np.floating]:
    """The centre of mass of each image along an axis, in pixels: [n]."""
    along = images.sum(axis=3 - axis)
    found: NDArray[np.floating] = along @ np.arange(28) / along.sum(axis=1)
    return found


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_seed_gives_the_same_bytes_and_another_one_others(bars: Images, name: str) -> None:
    first = changed(bars, name, 2, seed=3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, changed(bars, name, 2, seed=3))
    drawn = name not in ("scale", "brightness", "canny_edges")
    assert np.array_equal(first, changed(bars, name, 2, seed=4)) is not drawn
    assert (np.array_equal(first[0], first[1]) and np.array_equal(first[0], first[2])) is not drawn


@pytest.mark.parametrize("name", CHANGES)
def test_a_higher_severity_changes_more(bars: Images, name: str) -> None:
    by_severity = [
        np.abs(changed(bars, name, severity, 0).astype(float) - bars).mean() for severity in SEVERITIES
    ]
    assert 0 < by_severity[0] < by_severity[1] < by_severity[2]


def test_what_is_drawn_differs_by_name_and_severity() -> None:
    paper = np.zeros((1, 28, 28), np.uint8)
    blots = {
        changed(paper, name, severity, 0).tobytes()
        for name in ("spatter", "zigzag", "dotted_line")
        for severity in SEVERITIES
    }
    assert len(blots) == 9


def test_changes_of_other_names_are_drawn_apart(bars: Images) -> None:
    slanted, turned = (
        middle(changed(bars, name, 3, 0)[:, :12].astype(float), 2) for name in ("shear", "rotate")
    )
    same = ((slanted > 13.5) == (turned > 13.5)).mean()
    assert 0.2 < same < 0.8


def test_images_are_changed_in_parts_that_do_not_repeat(bars: Images) -> None:
    many = np.tile(bars, (CHUNK // COUNT + 2, 1, 1))
    found = changed(many, "impulse_noise", 1, 0)
    assert len({image.tobytes() for image in found}) == len(many) > CHUNK


@pytest.mark.parametrize(
    ("change", "nothing"),
    [
        (geometry.shear, 0.0),
        (geometry.scale, 1.0),
        (geometry.rotate, 0.0),
        (geometry.translate, 0),
        (lenses.brightness, 0),
        (lenses.fog, 0.0),
        (lenses.motion_blur, 1.0),
        (stains.impulse_noise, 0.0),
        (stains.stripe, 0),
        (stains.dotted_line, 0),
        (stains.zigzag, 0),
        (edges.canny_edges, 0.0),
    ],
)
def test_a_change_by_nothing_leaves_every_byte(
    bars: Images, random: np.random.Generator, change: Callable[..., Grey], nothing: float
) -> None:
    assert np.array_equal(rounded(change(bars.astype(float), random, nothing)), bars)


def test_a_right_angle_turns_exactly(random: np.random.Generator) -> None:
    images = random.integers(0, 256, (20, 28, 28)).astype(float)
    found = rounded(geometry.rotate(images, random, 90))
    left = [np.array_equal(a, np.rot90(b)) for a, b in zip(found, images, strict=True)]
    right = [np.array_equal(a, np.rot90(b, -1)) for a, b in zip(found, images, strict=True)]
    assert all(a != b for a, b in zip(left, right, strict=True))
    assert 0 < sum(left) < 20


def test_half_the_size_is_half_as_high_and_wide(bars: Images, random: np.random.Generator) -> None:
    found = geometry.scale(bars.astype(float), random, 0.5)
    assert found.sum() == pytest.approx(bars.sum() / 4, rel=0.02)
    assert middle(found, 1) == pytest.approx(middle(bars.astype(float), 1))


def test_a_slant_moves_rows_by_their_distance_from_the_middle(
    bars: Images, random: np.random.Generator
) -> None:
    found = geometry.shear(bars.astype(float), random, 0.4)
    places = found @ np.arange(28) / np.maximum(found.sum(axis=2), 1)
    by_row = np.diff(places[:, 6:22], axis=1)
    assert np.abs(by_row) == pytest.approx(0.4)
    assert set(np.sign(by_row[:, 0])) == {-1, 1}


def test_a_translation_goes_into_all_four_corners(bars: Images, random: np.random.Generator) -> None:
    found = geometry.translate(bars.astype(float), random, 3)
    moved = {
        (round(down), round(right))
        for down, right in zip(middle(found, 1) - 13.5, middle(found, 2) - 13.5, strict=True)
    }
    assert moved == {(3, 3), (3, -3), (-3, 3), (-3, -3)}


def test_counted_photons_are_whole_and_right_on_average(random: np.random.Generator) -> None:
    images = np.full((100, 28, 28), 51.0)  # a fifth of all ink
    photons = stains.shot_noise(images, random, 10) * 10 / 255
    assert photons == pytest.approx(photons.round())
    assert photons.mean() == pytest.approx(2, rel=0.02)
    assert photons.var() == pytest.approx(2, rel=0.03)


def test_half_of_the_impulses_are_ink(random: np.random.Generator) -> None:
    found = stains.impulse_noise(np.full((100, 28, 28), 100.0), random, 0.2)
    assert [(found == value).mean() for value in (0, 255)] == pytest.approx([0.1, 0.1], rel=0.05)


def test_blots_cover_the_share_that_they_should(random: np.random.Generator) -> None:
    found = stains.spatter(np.zeros((50, 28, 28)), random, 0.1)
    assert (found > 127).mean(axis=(1, 2)) == pytest.approx(0.1, abs=0.01)


def test_a_stripe_is_inverted_and_the_rest_is_left(bars: Images, random: np.random.Generator) -> None:
    found = stains.stripe(bars.astype(float), random, 3)
    inverted = found == 255 - bars.astype(float)
    assert (inverted.sum(axis=(1, 2)) == 3 * 28).all()
    assert set(inverted.all(axis=2).sum(axis=1)) == {0, 3}, "across or upright"


@pytest.mark.parametrize("change", [stains.dotted_line, stains.zigzag])
def test_a_line_goes_from_side_to_side(random: np.random.Generator, change: Callable[..., Grey]) -> None:
    dark = change(np.zeros((COUNT, 28, 28)), random, 1) > 100
    ends = [[np.flatnonzero(image.any(axis=axis))[[0, -1]] for axis in (0, 1)] for image in dark]
    assert all(any(first < 4 and last > 23 for first, last in both) for both in ends)
    assert dark.mean() < 0.1


def test_blur_and_motion_keep_the_ink_and_spread_it(random: np.random.Generator) -> None:
    dot = np.zeros((COUNT, 28, 28))
    dot[:, 14, 14] = 255
    moved = lenses.motion_blur(dot, random, 9)
    assert moved.sum(axis=(1, 2)) == pytest.approx(255)
    assert moved.max() < 255 / 5
    assert 6 < len({image.tobytes() for image in moved}) <= lenses.DIRECTIONS
    assert smoothed(dot, 1.0).sum(axis=(1, 2)) == pytest.approx(255)


def test_rough_glass_shows_pixels_of_the_neighbourhood_alone(random: np.random.Generator) -> None:
    quarter = np.zeros((10, 28, 28))
    quarter[:, :14, 8:] = 255
    found = lenses.glass_blur(quarter, random, 2)
    assert found[:, 5:9, 13:23] == pytest.approx(255)
    assert found[:, 19:] == pytest.approx(0)
    assert found[:, :, :3] == pytest.approx(0)
    assert found[:, 12:16, 13:23].std() > 20


def test_clouds_reach_from_paper_to_ink_and_are_smooth(random: np.random.Generator) -> None:
    found = clouds(random, 30, (14, 7, 3))
    assert (found.min(axis=(1, 2)) == 0).all()
    assert (found.max(axis=(1, 2)) == 1).all()
    assert np.abs(np.diff(found, axis=2)).max() < 0.35


def test_the_edges_of_a_bar_are_its_outline_one_pixel_wide(bars: Images) -> None:
    found = edges.edges(bars[:1].astype(float))[0]
    across = found[14]
    assert across.sum() == 2, "left and right"
    left, right = np.flatnonzero(across)
    assert (left - 10.5, right - 16.5) == pytest.approx((0, 0), abs=0.6)
    assert found[:, 13].sum() == 2, "above and below"
    assert not found[8:20, 13:15].any()
    assert not edges.edges(np.full((1, 28, 28), 200.0)).any()


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_edges_of_a_slanted_bar_are_two_lines(mirrored: bool) -> None:
    row, column = np.mgrid[:28, :28]
    bar = np.where(np.abs(row - column) < 6, 255.0, 0.0)
    found = edges.edges((bar[:, ::-1] if mirrored else bar)[None])[0]
    assert (found[8:20].sum(axis=1) == 4).all(), "a step on the diagonal is as steep in two pixels of a row"


def test_a_weak_edge_counts_where_it_goes_on_from_a_strong_one() -> None:
    image = np.zeros((28, 28))
    image[:, 14:] = np.linspace(255, 45, 28)[:, None]
    weak = np.zeros((28, 28))
    weak[:, 14:] = 45
    found, alone = edges.edges(np.stack([image, weak]))
    assert found.any(axis=1).all()
    assert not alone.any()


def test_halves_are_rounded_up_on_every_machine() -> None:
    values = np.array([[[0.5, 1.5 - 1e-9, 254.5, 300.0, -3.0, 0.4999]]])
    assert rounded(values).ravel().tolist() == [1, 2, 255, 255, 0, 0]
