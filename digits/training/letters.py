"""Letters that are no digits in anybody's hand, drawn with a pen: outliers that look written.

Each is the way of a pen, from corner to corner; no font has a part in them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from digits.training.transfer import send

if TYPE_CHECKING:
    import torch

WAYS = """\
08 30 68/15 55
~62 50 20 02 06 28 58 66
00 08/~00 40 62 66 48 08
60 00 08 68/04 54
60 00 08/04 44
~62 50 20 02 06 28 58 67/68 65/65 35
00 08/60 68/04 64
~60 66 58 28 06
00 08/60 04/24 68
00 08 68
08 00 35 60 68
08 20 46 60 88
08 00 68 60
00 08/~00 50 62 54 04
~30 00 08 68 60 30/45 78
00 08/~00 50 62 54 04/24 68
00 60/30 38
~00 06 18 58 66 60
00 38 60
00 18 32 48 60
00 68/60 08
00 34 60/34 38
~01 10 40 61 63 68/~63 34 04 08 38 66
~62 30 03 06 38 65/60 68
~61 40 10 02 06 18 48 67
~63 33 04 07 38 66/60 68
04 34/~34 64 60 00 08 58 67
~60 20 22 28/03 53
00 08/~05 13 53 65 68
33 38/30 31/23 33/18 58
33 38/30 31
~43 48 19 08/40 41
00 08/53 06/15 58
02 08/~04 22 42 44 48/~44 62 82 84 88
02 08/~04 22 62 64 68
00 09/~02 20 60 65 26 04
00 08/~04 10 40 51
~20 26 28 48 57/02 52
~00 06 08 48 63/60 68
00 35/60 18
~00 05 28 65/~60 68 38 09
00 30 34 08 68/30 60
60 00 34 08 68
08 00 60 68
08 00 60
08 30 68 08
30 38/~30 01 07 38 67 61 30
30 38/~00 05 36 65 60
08 28/~28 02 00 60 62 48/48 68
00 60/14 54/08 68
00 08 68 60/30 38
00 08 60 68
00 68/60 08/30 38
60 68/~60 10 02 24 64/24 08
30 36/03 63
"""
"""A letter a line, Latin, Greek or Cyrillic. Corners are two figures each, to the right and down; a blank
leads to the next, a slash lifts the pen, and with ~ the way is smooth."""
POINTS = 64
"""Places on the way of a letter."""
SERIF = 5
"""Places of a serif, in each of at most..."""
ENDS = 6
"""...so many ends."""
BOX = 20
"""Pixels of the longer side of a letter, as MNIST has its digits."""


@cache
def _alphabet(ways: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of all letters: places [n, p, 2], down and across; how a serif of length 1 moves them, likewise;
    and how level the pen moves there, 0 to 1, [n, p]."""
    import torch

    places, serifs, levels = zip(*map(_letter, ways.splitlines()), strict=True)
    return torch.stack(places), torch.stack(serifs), torch.stack(levels)


def _letter(way: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    import torch

    lines = [_line(stroke) for stroke in way.split("/")]
    starts, stops = torch.cat([line[:-1] for line in lines]), torch.cat([line[1:] for line in lines])
    moves = stops - starts
    lengths = moves.norm(dim=1)
    reached, along = lengths.cumsum(0), torch.linspace(0, 1, POINTS) * lengths.sum()
    piece = torch.searchsorted(reached, along).clamp(max=len(moves) - 1)
    rest = ((reached[piece] - along) / lengths[piece]).clamp(0, 1)
    at = [stops[piece] - rest[:, None] * moves[piece]]
    off, level = [torch.zeros_like(at[0])], [moves[piece, 1].abs() / lengths[piece]]
    ends = [(line[end], line[end] - line[beside]) for line in lines for end, beside in ((0, 1), (-1, -2))]
    # A serif is upright at the end of a level stroke, else level. Letters of fewer ends have some twice.
    for place, (down, across) in (ends * ENDS)[:ENDS]:
        is_level = bool(down.abs() >= across.abs())
        at.append(place.expand(SERIF, 2))
        off.append(torch.linspace(-1, 1, SERIF)[:, None] * torch.tensor([not is_level, is_level]))
        level.append(torch.full((SERIF,), float(is_level)))
    return torch.cat(at), torch.cat(off), torch.cat(level)


def _line(stroke: str) -> torch.Tensor:
    """The corners of a stroke, [c, 2], down and across."""
    import torch

    corners = torch.tensor([[float(place[1]), float(place[0])] for place in stroke.strip("~").split()])
    for _ in range(3 if stroke[0] == "~" else 0):  # Chaikin's corner cutting
        near, far = corners[:-1] * 0.75 + corners[1:] * 0.25, corners[:-1] * 0.25 + corners[1:] * 0.75
        corners = torch.cat([corners[:1], torch.stack([near, far], 1).flatten(0, 1), corners[-1:]])
    return corners


def drawn(count: int, size: list[int], generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """Ink from 0 to 1, [count, 1, height, width], of a letter each: in any hand, half of them with serifs."""
    import torch

    places, serifs, levels = _alphabet(WAYS)
    chosen = torch.randint(len(places), (count,), generator=generator)
    draws = torch.rand(count, 7, 1, generator=generator)
    bends = (torch.rand(count, 2, 5, generator=generator) - 0.5) / 4
    has_serif, serif, narrow, slant, turn, pen, contrast = draws.unbind(1)
    length = torch.where(has_serif < 0.5, 0.7 + 1.5 * serif, 0)[..., None]
    down, across = ((places[chosen] + serifs[chosen] * length) / 4 - torch.tensor([1, 0.75])).unbind(2)
    # No hand is straight, and each part of a letter is bent in another way.
    waves = torch.stack([down, across, down * across, down**2, across**2], 1)
    down, across = (torch.stack([down, across], 1) + bends @ waves).unbind(1)
    across = across * (0.6 + 0.7 * narrow) - down * (0.7 * slant - 0.2)
    cos, sin = (0.4 * turn - 0.2).cos(), (0.4 * turn - 0.2).sin()
    where = torch.stack([down * cos + across * sin, across * cos - down * sin], 2)
    low, high = where.amin(1, keepdim=True), where.amax(1, keepdim=True)
    radius = 0.6 + 1.8 * pen**2
    middle = (where.mean(1, keepdim=True) + (low + high) / 2) / 2
    where = (where - middle) * (BOX - 2 * radius[..., None]) / (high - low).amax(2, keepdim=True)
    radii = (radius * (1 - 0.6 * contrast * levels[chosen])).clamp(min=0.5)  # as of a broad pen
    # Of each pixel the least distance² - radius², by one product but for its own square.
    left = send(torch.cat([-2 * where, (where.square().sum(2) - radii.square())[..., None]], 2), device)
    lines = (torch.arange(pixels, device=device) - (pixels - 1) / 2 for pixels in size)
    pixels = torch.stack(torch.meshgrid(*lines, indexing="ij")).flatten(1)
    nearest = (left @ torch.cat([pixels, torch.ones_like(pixels[:1])])).amin(1) + pixels.square().sum(0)
    radius = send(radius, device)
    distance = (nearest + radius**2).clamp(min=0).sqrt() - radius
    return (0.5 - distance).clamp(0, 1).view(count, 1, *size)
