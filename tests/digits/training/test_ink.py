from itertools import pairwise

import pytest
import torch

from digits.training.ink import Ink
from digits.training.loop import train
from tests.digits.conftest import ReadWith
from tests.digits.training.test_augmentation import PAPER, blot
from tests.digits.training.test_loop import COUNT, SMALL, examples, silent

NONE = {"thickness": 0.0, "pixelation": 0.0, "blur": 0.0, "contrast": 0.0, "share": 1.0}
ALL = {"thickness": 0.5, "pixelation": 3.0, "blur": 1.5, "contrast": 0.5}


def ink(**values: float) -> Ink:
    return Ink.model_validate(NONE | values)


def change(images: torch.Tensor, **values: float) -> torch.Tensor:
    return ink(**values)(images, torch.Generator().manual_seed(1))


def line(count: int) -> torch.Tensor:
    """Images [count, 1, 28, 28] of an upright line three pixels wide."""
    images = torch.full((count, 1, 28, 28), PAPER)
    images[..., 4:24, 12:15] = 2.8
    return images


def test_nothing_asked_for_changes_nothing() -> None:
    assert ink().changes_nothing
    assert not any(ink(**{name: value}).changes_nothing for name, value in ALL.items())
    assert ink(**ALL, share=0.0).changes_nothing
    assert ink(pixelation=1.0).changes_nothing, "a square of one pixel is that pixel"
    images = torch.randn(5, 1, 28, 28)
    assert torch.equal(change(images), images)


def test_strokes_become_up_to_a_pixel_thicker_or_thinner_on_each_side() -> None:
    row = (change(line(500), thickness=1.0)[:, 0, 13] - PAPER) / (2.8 - PAPER)
    width = row.sum(1)
    assert 1 <= width.min() < 1.05
    assert 4.95 < width.max() <= 5
    assert (width < 3).float().mean() == pytest.approx(0.5, abs=0.1)
    assert row[:, 13].min() == 1, "the middle of a line stays"


def test_pixelation_spreads_a_dot_over_squares_of_up_to_its_side_and_keeps_all_ink() -> None:
    dot = torch.zeros(500, 1, 28, 28)
    dot[..., 14, 14] = 1
    squares = change(dot, pixelation=3.0)[:, 0]
    torch.testing.assert_close(squares.sum((1, 2)), torch.ones(500))
    height, width = ((squares.sum(across) > 1e-6).sum(1) for across in (2, 1))
    # A dot that is cut lies in two squares, six pixels long at most, which have a part of seven.
    assert set(height.tolist()) == set(width.tolist()) == {3, 4, 5, 6, 7}
    assert not torch.equal(height, width), "the squares begin elsewhere down and across"
    assert squares.amax((1, 2)).min() < 0.12, "a ninth of it"
    corners = torch.zeros(500, 1, 28, 28)
    corners[..., ::27, ::27] = 1
    torch.testing.assert_close(change(corners, pixelation=3.0).sum((1, 2, 3)), torch.full((500,), 4.0))


def test_a_blur_spreads_a_dot_by_its_standard_deviation_and_keeps_its_ink() -> None:
    dot = torch.zeros(500, 1, 28, 28)
    dot[..., 14, 14] = 1
    blurred = change(dot, blur=2.0)
    torch.testing.assert_close(blurred.sum((1, 2, 3)), torch.ones(500), rtol=0, atol=1e-3)
    offset = torch.arange(28) - 14
    deviation = (blurred.sum((1, 3)) @ (offset**2).float()).sqrt()
    assert 1.95 < deviation.max() < 2.01
    assert deviation.min() < 0.1
    torch.testing.assert_close(blurred, blurred.transpose(2, 3))


def test_less_contrast_makes_ink_lighter_and_leaves_the_paper() -> None:
    before, after = blot(500), change(blot(500), contrast=0.4)
    factor = (after.amax((1, 2, 3)) - PAPER) / (before.amax((1, 2, 3)) - PAPER)
    assert 0.6 <= factor.min() < 0.61
    assert 0.99 < factor.max() <= 1
    torch.testing.assert_close(after[..., 0, 0], before[..., 0, 0])


def test_a_share_of_the_images_is_changed_and_the_others_are_as_they_were() -> None:
    images = line(500)
    all_changed, some_changed = change(images, **ALL), change(images, **ALL, share=0.3)
    untouched = (some_changed == images).all(3).all(2).all(1)
    assert (~untouched).float().mean() == pytest.approx(0.3, abs=0.06)
    torch.testing.assert_close(some_changed[~untouched], all_changed[~untouched])


@pytest.mark.parametrize("share", [1.0, 0.99])
def test_the_seed_decides_and_a_part_of_the_rows_is_changed_as_in_the_whole(share: float) -> None:
    images, rows, every = line(6), slice(2, 4), ink(**ALL, share=share)
    whole, part = (every(images, torch.Generator().manual_seed(1), r) for r in (slice(None), rows))
    assert torch.equal(whole, change(images, **ALL, share=share))
    assert all(not torch.equal(a, b) for a, b in pairwise(whole))
    torch.testing.assert_close(part[rows], whole[rows])
    assert torch.equal(part[4:], images[4:])
    assert torch.equal(every(images, torch.Generator().manual_seed(1), slice(2, 2)), images)
    assert torch.equal(images, line(6))


def test_training_sees_changed_images_and_repeats_itself(read_with: ReadWith) -> None:
    data, parameters = examples(COUNT), read_with({**SMALL, "ink.blur": 2.0})
    first, second, plain = (
        train(values, data, log=silent)[1] for values in (parameters, parameters, read_with(SMALL))
    )
    assert first == second
    assert first[0].loss != pytest.approx(plain[0].loss, abs=1e-4)
    assert parameters.origin["ink"] == NONE | {"blur": 2.0}
    assert "ink" not in read_with(SMALL).origin, "what is not asked for has no part in the result"
