"""Letters as outliers: what is drawn is the letter, with and without serifs."""

import pytest
import torch

from digits.training import letters


def drawn(monkeypatch: pytest.MonkeyPatch, way: str, count: int = 60) -> torch.Tensor:
    """Images [count, 28, 28] of this letter alone."""
    monkeypatch.setattr(letters, "WAYS", way)
    return letters.drawn(count, [28, 28], torch.Generator().manual_seed(1), torch.device("cpu"))[:, 0]


@pytest.mark.parametrize(
    ("way", "inked", "blank"),
    [
        ("00 08 68", [(6, 10), (18, 10), (20, 18)], [(11, 19)]),
        ("30 38/00 60", [(7, 9), (7, 19), (20, 12)], [(16, 21)]),
        ("~00 08 68 60", [(8, 8), (21, 13), (8, 19)], [(11, 14), (23, 5), (23, 22)]),
    ],
    ids=["L", "T", "U"],
)
def test_the_ink_is_where_the_pen_goes(
    monkeypatch: pytest.MonkeyPatch, way: str, inked: list[tuple[int, int]], blank: list[tuple[int, int]]
) -> None:
    mean = drawn(monkeypatch, way).mean(0)
    assert min(mean[place] for place in inked) > 4 * max(mean[place] for place in blank)


def test_a_smooth_way_has_no_corners(monkeypatch: pytest.MonkeyPatch) -> None:
    smooth, angular = (drawn(monkeypatch, f"{how}00 08 68 60")[:, 20:, :8].mean() for how in ("~", ""))
    assert smooth < 0.75 * angular


def test_a_third_and_more_have_serifs_across_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = (drawn(monkeypatch, "30 38", 200) > 0.5).sum(2)
    middle = widths[:, 12:16].float().median(1).values
    wider = torch.minimum(widths[:, :8].amax(1), widths[:, 20:].amax(1)) - middle
    assert 0.3 < (wider >= 2).float().mean() < 0.5


def test_the_generator_decides_and_no_two_are_alike() -> None:
    once, again = (
        letters.drawn(99, [28, 28], torch.Generator().manual_seed(1), torch.device("cpu")) for _ in range(2)
    )
    assert torch.equal(once, again)
    assert len(once.flatten(1).unique(dim=0)) == 99
    assert (float(once.min()), float(once.max())) == (0, 1)


def test_every_letter_has_a_way_of_its_own() -> None:
    ways = letters.WAYS.splitlines()
    assert len(set(ways)) == len(ways)
