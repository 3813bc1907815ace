"""Outliers: images that show no class, for which the network learns to be sure of none.

D. Hendrycks, M. Mazeika, T. Dietterich: Deep Anomaly Detection with Outlier Exposure, ICLR 2019. Here they
are made of random numbers and the batch itself, so that no other data are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeFloat

from digits.common.section import TopSection
from digits.training import letters
from digits.training.letters import BOX
from digits.training.transfer import send

if TYPE_CHECKING:
    import torch

NO_CLASS = -1
"""The label of an outlier."""
CURVES, POINTS = 4, 20
"""At most so many curves, each of so many places, in an image of strokes."""
WIDTHS = (1.5, 3.5)
"""Pixels of a stroke, from and to."""


class Outliers(TopSection):
    """How many images of a batch are replaced."""

    key = "outliers"

    share: Annotated[NonNegativeFloat, Field(lt=1)]
    """Of the images of each batch. Half of the outliers are letters, a quarter a few random strokes, as of an
    unknown script; the others an image of the batch with another, turned a quarter, on it or below its
    upper half."""

    def __call__(
        self, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Copies of images, float [n, 1, height, width], and labels [n] with outliers evenly spread.

        `generator` is on the CPU, so that every device draws the same. Ink is higher than paper.
        """
        import torch

        whole = torch.arange(len(labels) + 1, dtype=torch.float64).mul_(self.share).floor_()
        rows = send(whole.diff().nonzero()[:, 0], images.device)
        written, strokes, joined = rows[::2], rows[1::4], rows[3::4]
        images, labels = images.clone(), labels.clone()
        made = _joined(images, joined, generator)
        paper, ink = images.amin(), images.amax()
        size = [*images.shape[2:]]
        for chosen, draw in ((written, letters.drawn), (strokes, _strokes)):
            images[chosen] = paper + (ink - paper) * draw(len(chosen), size, generator, images.device)
        images[joined] = made
        labels[rows] = NO_CLASS
        return images, labels


def _joined(images: torch.Tensor, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each of these images with another of all, turned: both in one, or an upper and a lower half.

    Turned, since the halves of two digits upright often are a digit.
    """
    import torch

    # Any but itself.
    further = send(torch.randint(1, max(2, len(images)), (len(rows),), generator=generator), images.device)
    first, second = images[rows], images[(rows + further) % len(images)].rot90(1, (2, 3))
    half = images.shape[2] // 2
    halves = torch.cat([first[:, :, :half], second[:, :, half:]], 2)
    alternate = torch.arange(len(rows), device=images.device)[:, None, None, None] % 2 == 0
    return torch.where(alternate, torch.maximum(first, second), halves)


def _strokes(count: int, size: list[int], generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """Ink from 0 to 1, [count, 1, height, width], of two to four curves each, straight or bent.

    A single straight one would often be a digit, the one.
    """
    import torch

    draws = torch.rand(count, CURVES, 12, generator=generator)
    each = torch.rand(count, 1, 3, generator=generator)
    ends, bend = draws[..., :4].view(count, CURVES, 2, 2), draws[..., 4:6]
    # Half of the ends lie at corners and middles of a square, and half of the curves begin where one ended:
    # strokes of a script meet.
    ends = torch.where(draws[..., 6:8, None] < 0.5, (ends * 2).round() / 2, ends)
    start, end = ends.unbind(2)
    start = torch.where(draws[..., 8:9] < 0.5, end.roll(1, 1), start)
    control = torch.where(draws[..., 9:10] < 0.5, (start + end) / 2, bend)
    t = torch.linspace(0, 1, POINTS)[:, None]
    start, control, end = (place[:, :, None] for place in (start, control, end))
    curves = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end  # a parabola, as Bézier has it
    there = torch.arange(CURVES) <= 1 + (each[..., :1] * (CURVES - 1)).floor()
    curves = torch.where(there[:, 0, :, None, None], curves, curves[:, :1])
    places = curves.flatten(1, 2) * torch.cat([torch.ones_like(each[..., :1]), 0.4 + 0.6 * each[..., 1:2]], 2)
    extent = (places.amax(1, keepdim=True) - places.amin(1, keepdim=True)).amax(2, keepdim=True)
    width = WIDTHS[0] + (WIDTHS[1] - WIDTHS[0]) * each[..., 2:]
    places = (places - places.mean(1, keepdim=True)) * (BOX - width) / extent.clamp(min=0.1)
    places, width = send(places, device), send(width, device)
    down, across = (torch.arange(pixels, device=device) - (pixels - 1) / 2 for pixels in size)
    squares = (down[:, None] - places[:, None, :, 0]) ** 2, (across[:, None] - places[:, None, :, 1]) ** 2
    distance = (squares[0][:, :, None] + squares[1][:, None]).amin(3).sqrt()
    return (width / 2 + 0.5 - distance).clamp(0, 1)[:, None]
