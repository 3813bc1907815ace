import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.photos import BY_HAND, grey_values, photo
from digits.page.parts import parts
from digits.page.photo import sheet
from digits.page.preparation import rasterize

Grey = NDArray[np.uint8]


def alike(found: Grey | None, ink: Grey) -> float:
    """How much of the ink of two drawings is the same, when both fill the same box: 0 to 1."""
    expected = sheet(255 - ink)
    assert found is not None
    assert expected is not None
    a, b = found > 127, expected > 127
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("inverted", [False, True], ids=["dark on light", "light on dark"])
def test_a_digit_is_found_whatever_the_light(digit: int, inverted: bool) -> None:
    random = np.random.default_rng(digit)
    grey = grey_values(photo([BY_HAND[digit]], random))
    found = sheet(255 - grey if inverted else grey)
    assert alike(found, rasterize(BY_HAND[digit]["strokes"], 280, 16)) > 0.6
    assert found is not None
    assert len(parts(found)) == 1


def test_the_digits_of_a_photo_are_as_many_as_were_written() -> None:
    random = np.random.default_rng(3)
    for number in range(20):
        count = 1 + number % 3
        chosen = [BY_HAND[digit] for digit in random.integers(0, 10, count)]
        found = sheet(grey_values(photo(chosen, random, pen=random.uniform(9, 24))))
        assert found is not None
        assert len(parts(found)) == count


def paper(height: int, width: int, random: np.random.Generator) -> NDArray[np.float64]:
    return np.linspace(230, 120, width) + random.normal(0, 4, (height, width))


def test_paper_alone_has_no_ink() -> None:
    random = np.random.default_rng(5)
    assert sheet(paper(300, 400, random).astype(np.uint8)) is None
    assert sheet(np.full((5, 9), 200, np.uint8)) is None
    assert sheet(np.zeros((1, 1), np.uint8)) is None


@pytest.mark.parametrize("noise", [2, 12, 35])
def test_grain_is_not_ink_where_the_light_is_dim(noise: int) -> None:
    light = np.linspace(80, 230, 400) * np.linspace(0.8, 1, 300)[:, None]
    grey = light + np.random.default_rng(7).normal(0, noise, light.shape)
    assert sheet(np.clip(grey, 0, 255).astype(np.uint8)) is None


@pytest.mark.parametrize("inverted", [False, True], ids=["dark on light", "light on dark"])
@pytest.mark.parametrize("margin", [20, 60, 300])
@pytest.mark.parametrize("table", [15, 54, 120])
def test_paper_on_a_table_is_read_however_much_is_seen_of_the_table(
    table: int, margin: int, inverted: bool
) -> None:
    drawn = rasterize(BY_HAND[4]["strokes"], 280, 16)
    sheets = np.pad(np.pad(235 - drawn // 5 * 4, 60, constant_values=235), margin, constant_values=table)
    grey = sheets + np.random.default_rng(8).normal(0, 3, sheets.shape)
    found = sheet(np.clip(255 - grey if inverted else grey, 0, 255).astype(np.uint8))
    assert alike(found, drawn) > 0.6


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_a_digit_half_in_a_deep_shadow_is_whole(share: float) -> None:
    drawn = rasterize(BY_HAND[3]["strokes"], 280, 16)
    grey = np.pad(235 - drawn * 0.8, 60, constant_values=235)
    grey[:, : int(400 * share)] *= 0.25
    grey = np.clip(grey + np.random.default_rng(8).normal(0, 2, grey.shape), 0, 255)
    assert alike(sheet(grey.astype(np.uint8)), drawn) > 0.6


def test_dirt_and_the_edge_of_a_table_are_not_ink() -> None:
    random = np.random.default_rng(6)
    grey = paper(300, 400, random)
    grey[100:200, 150:160] = 40
    clean = sheet(grey.astype(np.uint8))
    grey[30:34, 300:304] = 40  # a speck
    grey[:, 390:] = 50  # a table
    found = sheet(grey.astype(np.uint8))
    assert clean is not None
    assert found is not None
    assert np.array_equal(found > 127, clean > 127)


def test_a_picture_of_a_test_image_keeps_its_digit() -> None:
    ink = np.zeros((28, 28), np.uint8)
    ink[4:24, 12:16] = 255
    found = sheet(ink)
    assert found is not None
    assert found[20:260, 116:164].min() > 200
    assert found[:, :110].max() == 0
