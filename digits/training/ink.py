"""Ink: every training image drawn with another pen and seen less well, anew in every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeFloat

from digits.common.section import TopSection
from digits.training.augmentation import with_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

SHARPEST = 0.01
"""Pixels²: keeps a blur of 0 from dividing by 0, and is too little to reach the next pixel."""


class Ink(TopSection):
    """How far the grey values of an image may be changed; with zeros alone they stay as they are."""

    key = "ink"

    thickness: Annotated[NonNegativeFloat, Field(le=1)]
    """The way from an image to its darkest (or lightest) of 3 x 3 pixels around, which make strokes thicker
    (or thinner) by a pixel on each side, uniform within ± this."""
    blur: Annotated[NonNegativeFloat, Field(le=28)]
    """Pixels: standard deviation of a Gaussian, uniform from 0 to this."""
    contrast: Annotated[NonNegativeFloat, Field(lt=1)]
    """The ink is multiplied with a factor uniform from 1 - this to 1; the paper stays."""

    @property
    def changes_nothing(self) -> bool:
        return not (self.thickness or self.blur or self.contrast)

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator, rows: slice = slice(None)
    ) -> torch.Tensor:
        """Changed copies of `images`, float [n, 1, height, width], paper lower than ink, on their device.

        As `Augmentation`: `generator` is on the CPU, and of what it draws only `rows` are made.
        """
        import torch

        draws = torch.rand(len(images), 3, generator=generator)[rows].to(images.device)
        if not len(draws):
            return images
        changed, (thickness, blur, contrast) = images[rows], draws[:, :, None, None, None].unbind(1)
        if self.thickness:
            changed = _thickened(changed, self.thickness * (2 * thickness - 1))
        if self.blur:
            changed = _blurred(changed, self.blur * blur)
        if self.contrast:
            paper = changed.amin((2, 3), keepdim=True)
            changed = paper + (changed - paper) * (1 - self.contrast * contrast)
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


def _blurred(images: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    down, across = (_gaussians(pixels, deviation) for pixels in images.shape[2:])
    return down @ images @ across.transpose(2, 3)


def _gaussians(pixels: int, deviation: torch.Tensor) -> torch.Tensor:
    """The weights with which a pixel of a line takes each, [n, 1, pixels, pixels], deviation [n, 1, 1, 1]."""
    import torch

    place = torch.arange(pixels, device=deviation.device)
    distance = (place[:, None] - place) ** 2
    return (-distance / (2 * deviation**2 + SHARPEST)).softmax(3)
