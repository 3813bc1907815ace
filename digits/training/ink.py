"""Ink: every training image drawn with another pen and seen less well, anew in every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeFloat

from digits.common.section import TopSection
from digits.training.augmentation import with_rows
from digits.training.transfer import send

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

SHARPEST = 0.01
"""Pixels²: keeps a blur of 0 from dividing by 0, and is too little to reach the next pixel."""
SHORTEST = 1e-6
"""Pixels: of a square that lies beside the image, which has no part in it."""


class Ink(TopSection):
    """How far the grey values of an image may be changed; with zeros alone they stay as they are."""

    key = "ink"

    thickness: Annotated[NonNegativeFloat, Field(le=1)]
    """The way from an image to its darkest (or lightest) of 3 x 3 pixels around, which make strokes thicker
    (or thinner) by a pixel on each side, uniform within ± this."""
    pixelation: Annotated[float, Field(ge=0, le=14)]
    """Pixels: side of the squares whose grey values are averaged, uniform from 1 to this: what a coarser
    picture, made larger, looks like. 0 and 1: none."""
    blur: Annotated[NonNegativeFloat, Field(le=28)]
    """Pixels: standard deviation of a Gaussian, uniform from 0 to this."""
    contrast: Annotated[NonNegativeFloat, Field(lt=1)]
    """The ink is multiplied with a factor uniform from 1 - this to 1; the paper stays."""
    share: Annotated[float, Field(ge=0, le=1)]
    """Of the images that are changed; the others stay as they are."""

    @property
    def changes_nothing(self) -> bool:
        return not self.share or not (self.thickness or self._pixelates or self.blur or self.contrast)

    @property
    def _pixelates(self) -> bool:
        return self.pixelation > 1

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator, rows: slice = slice(None)
    ) -> torch.Tensor:
        """Changed copies of `images`, float [n, 1, height, width], paper lower than ink, on their device.

        As `Augmentation`: `generator` is on the CPU, and of what it draws only `rows` are made.
        """
        import torch

        def drawn(*size: int) -> torch.Tensor:
            return send(torch.rand(len(images), *size, generator=generator)[rows], images.device)

        draws = drawn(3)
        # Drawn where they are asked for, so that without them the draws are those of before.
        squares = drawn(3) if self._pixelates else None
        chosen = drawn(1, 1, 1) < self.share if self.share < 1 else None
        if not len(draws):
            return images
        changed, (thickness, blur, contrast) = images[rows], draws[:, :, None, None, None].unbind(1)
        if self.thickness:
            changed = _thickened(changed, self.thickness * (2 * thickness - 1))
        if squares is not None:
            changed = _pixelated(changed, self.pixelation, squares)
        if self.blur:
            changed = _blurred(changed, self.blur * blur)
        if self.contrast:
            paper = changed.amin((2, 3), keepdim=True)
            changed = paper + (changed - paper) * (1 - self.contrast * contrast)
        if chosen is not None:
            changed = torch.where(chosen, changed, images[rows])
        return with_rows(images, rows, changed)


def _thickened(images: torch.Tensor, way: torch.Tensor) -> torch.Tensor:
    import torch

    thick, thin = (_of_neighbours(images, choose) for choose in (torch.maximum, torch.minimum))
    return images + way.clamp(min=0) * (thick - images) + way.clamp(max=0) * (images - thin)


def _of_neighbours(
    images: torch.Tensor, choose: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Of the up to 3 x 3 pixels around each, what `choose` takes: max_pool2d in a quarter of its time."""
    import torch

    for across in (2, 3):
        size = images.shape[across]
        padded = torch.cat([images.narrow(across, 0, 1), images, images.narrow(across, size - 1, 1)], across)
        first, middle, last = (padded.narrow(across, start, size) for start in range(3))
        images = choose(choose(first, middle), last)
    return images


def _pixelated(images: torch.Tensor, largest: float, draws: torch.Tensor) -> torch.Tensor:
    """Squares with a side from 1 to `largest` pixels, by the first of draws [n, 3]; placed by the others."""
    side = 1 + (largest - 1) * draws[:, :1]
    down, across = (
        _averages(pixels, side, start)
        for pixels, start in zip(images.shape[2:], draws[:, 1:].t(), strict=True)
    )
    return down @ images @ across


def _averages(pixels: int, side: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """The weights with which a pixel of a line takes each, [n, 1, pixels, pixels], side [n, 1], start [n]."""
    import torch

    place = torch.arange(pixels, device=side.device)
    begins = side * (torch.arange(pixels + 1, device=side.device) - start[:, None])
    ends = (begins + side)[:, :, None]
    # Of each square [n, pixels + 1] with each pixel of the line.
    shared = (torch.minimum(ends, place + 1) - torch.maximum(begins[:, :, None], place)).clamp(min=0)
    length = shared.sum(2, keepdim=True).clamp(min=SHORTEST)
    return (shared.transpose(1, 2) @ (shared / length))[:, None]


def _blurred(images: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    down, across = (_gaussians(pixels, deviation) for pixels in images.shape[2:])
    return down @ images @ across.transpose(2, 3)


def _gaussians(pixels: int, deviation: torch.Tensor) -> torch.Tensor:
    """The weights with which a pixel of a line takes each, [n, 1, pixels, pixels], deviation [n, 1, 1, 1]."""
    import torch

    place = torch.arange(pixels, device=deviation.device)
    distance = (place[:, None] - place) ** 2
    return (-distance / (2 * deviation**2 + SHARPEST)).softmax(3)
