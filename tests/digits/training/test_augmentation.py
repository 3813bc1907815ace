import math
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from digits.training.augmentation import Augmentation
from digits.training.loop import train
from tests.digits.conftest import ReadWith
from tests.digits.training.test_loop import COUNT, SMALL, examples, silent

PAPER = -0.42


def augmentation(**values: float) -> Augmentation:
    return Augmentation.model_validate({"shift": 0.0, "rotation": 0.0, "scale": 0.0, "elastic": 0.0} | values)


def blot(count: int, row: int = 13, column: int = 13) -> torch.Tensor:
    """Images with a soft spot of ink on paper, float32 [count, 1, 28, 28]."""
    distance = (torch.arange(28) - row)[:, None] ** 2 + (torch.arange(28) - column)[None, :] ** 2
    return (PAPER + 3 * torch.exp(-distance / 4)).expand(count, 1, 28, 28).contiguous()


def centre(images: torch.Tensor) -> torch.Tensor:
    """Row and column of each image's centre of mass, [count, 2], from the image's centre."""
    ink = (images - PAPER).clamp(min=0)[:, 0]
    along = torch.arange(28) - 13.5
    mass = ink.sum((1, 2))
    return torch.stack([(ink.sum(2) @ along) / mass, (ink.sum(1) @ along) / mass], 1)


def change(images: torch.Tensor, seed: int = 1, **values: float) -> torch.Tensor:
    return augmentation(**values)(images, torch.Generator().manual_seed(seed))


def test_nothing_asked_for_changes_nothing() -> None:
    assert augmentation().changes_nothing
    assert not augmentation(elastic=0.1).changes_nothing
    images = torch.randn(5, 1, 28, 28)
    torch.testing.assert_close(change(images), images, rtol=0, atol=1e-4)


def test_a_shift_is_uniform_within_its_bounds_in_both_directions() -> None:
    moved = centre(change(blot(2000), shift=3.0)) + 0.5
    assert 2.9 < moved.max() < 3.05
    assert -3.05 < moved.min() < -2.9
    assert moved.mean(0).abs().max() < 0.2
    assert (moved.std(0) - 3 / math.sqrt(3)).abs().max() < 0.1
    assert torch.corrcoef(moved.t())[0, 1].abs() < 0.1


def test_a_rotation_turns_around_the_centre() -> None:
    turned = centre(change(blot(2000, row=13, column=22), rotation=30.0))
    angles = torch.atan2(turned[:, 0], turned[:, 1]) * 180 / torch.pi
    before = math.degrees(math.atan2(-0.5, 8.5))
    assert 29 < (angles - before).abs().max() < 31
    torch.testing.assert_close(turned.norm(dim=1), torch.full((2000,), 8.515), rtol=0, atol=0.1)


def test_a_scale_moves_ink_away_from_the_centre_or_to_it() -> None:
    scaled = centre(change(blot(2000, row=13, column=20), scale=0.2))
    factors = scaled[:, 1] / 6.5
    assert 1.18 < factors.max() < 1.22
    assert 0.78 < factors.min() < 0.82


def test_an_elastic_change_bends_by_its_standard_deviation() -> None:
    moved = centre(change(blot(2000), elastic=1.0)) + 0.5
    assert 0.6 < moved.std() < 1.2  # at the points themselves it is 1, between them less
    images = torch.randn(3, 1, 28, 28)
    assert not torch.equal(change(images, elastic=1.0), images)


def test_every_image_is_changed_on_its_own_and_paper_stays_paper() -> None:
    images = change(blot(2), shift=2.0, rotation=20.0, scale=0.1, elastic=1.0)
    assert not torch.equal(images[0], images[1])
    border = torch.cat([images[:, 0, 0], images[:, 0, -1], images[:, 0, :, 0], images[:, 0, :, -1]])
    torch.testing.assert_close(border, torch.full_like(border, PAPER), rtol=0, atol=0.01)


def test_the_seed_decides() -> None:
    images, values = blot(4), {"shift": 2.0, "elastic": 1.0}
    assert torch.equal(change(images, seed=1, **values), change(images, seed=1, **values))
    assert not torch.equal(change(images, seed=1, **values), change(images, seed=2, **values))


def test_training_sees_changed_images_and_repeats_itself(read_with: ReadWith) -> None:
    data, parameters = examples(COUNT), read_with({**SMALL, "augmentation.shift": 2.0})
    before = data.images.clone()
    first, second = (train(parameters, data, log=silent) for _ in range(2))
    plain = train(read_with(SMALL), data, log=silent)
    assert first[1] == second[1]
    assert first[1][0].loss != pytest.approx(plain[1][0].loss, abs=1e-4)
    assert torch.equal(data.images, before)


def test_a_part_of_the_rows_is_changed_as_in_the_whole() -> None:
    images, rows = blot(6), slice(2, 4)
    values = Augmentation(shift=2.0, rotation=10.0, scale=0.1, elastic=1.0)
    whole, part = (values(images, torch.Generator().manual_seed(1), r) for r in (slice(None), rows))
    assert torch.equal(part[rows], whole[rows])
    assert torch.equal(part[:2], images[:2])
    assert torch.equal(part[4:], images[4:])


def test_no_row_at_all_may_be_asked_for() -> None:
    images = blot(2)
    values = Augmentation(shift=2.0, rotation=0.0, scale=0.0, elastic=1.0)
    assert torch.equal(values(images, torch.Generator().manual_seed(1), slice(2, 2)), images)


def test_all_but_the_draws_is_computed_where_the_images_are() -> None:
    """On the meta device, which computes nothing: a tensor on the CPU in between would not go with it."""
    values = Augmentation(shift=2.0, rotation=10.0, scale=0.1, elastic=1.0)
    images = torch.empty(4, 1, 28, 28, device="meta")
    made: list[torch.device] = []

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and result.numel() >= 4 * 28 * 28:
                made.append(result.device)
            return result

    with Seen():  # type: ignore[no-untyped-call]
        changed = values(images, torch.Generator().manual_seed(1))
    assert changed.device.type == "meta"
    assert made
    assert {device.type for device in made} == {"meta"}
