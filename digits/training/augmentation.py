"""Augmentation: every training image slightly moved, turned, scaled and bent, anew in every epoch."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeFloat

from digits.common.section import TopSection
from digits.training.transfer import send

if TYPE_CHECKING:
    import torch

ELASTIC_POINTS = 5  # along each side; between them the displacement is smooth


class Augmentation(TopSection):
    """How far an image may be changed; with zeros alone it stays as it is."""

    key = "augmentation"

    shift: Annotated[NonNegativeFloat, Field(le=28)]
    """Pixels, in each direction, uniform within ± this."""
    rotation: Annotated[NonNegativeFloat, Field(le=180)]
    """Degrees, uniform within ± this."""
    scale: Annotated[NonNegativeFloat, Field(lt=1)]
    """The size is multiplied with a factor uniform within 1 ± this."""
    elastic: Annotated[NonNegativeFloat, Field(le=28)]
    """Pixels: standard deviation of a smooth random displacement (Simard et al., Best Practices for
    Convolutional Neural Networks, 2003; here drawn at 5 x 5 points, bicubic between them)."""

    @property
    def changes_nothing(self) -> bool:
        return not (self.shift or self.rotation or self.scale or self.elastic)

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator, rows: slice = slice(None)
    ) -> torch.Tensor:
        """Changed copies of `images`, float [n, 1, height, width], all at once, on their device.

        `generator` is on the CPU, so that every device draws the same changes. All are drawn, but only those
        of `rows` are made; the other images stay as they are.
        """
        import torch
        from torch.nn import functional

        count, _, height, width = images.shape
        draws = send(torch.rand(count, 4, generator=generator).mul_(2).sub_(1)[rows], images.device)
        at_points = (count, 2, ELASTIC_POINTS, ELASTIC_POINTS)
        points = torch.randn(at_points, generator=generator)[rows] if self.elastic else None
        if not len(draws):
            return images
        angle = draws[:, 0] * (self.rotation * torch.pi / 180)
        # The grid says from where each pixel is taken, hence the inverse of the scale.
        zoom = 1 / (1 + self.scale * draws[:, 1])
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        # A grid counts from -1 to 1 across an image, whatever its size.
        right, down = draws[:, 2] * (2 * self.shift / width), draws[:, 3] * (2 * self.shift / height)
        affine = torch.stack([cos, -sin, right, sin, cos, down], 1)
        grid = functional.affine_grid(affine.view(-1, 2, 3), [*images[rows].shape], align_corners=False)
        if points is not None:
            points = send(points, images.device)
            bend = _between_points(height, images.device) @ points @ _between_points(width, images.device).t()
            grid += bend.permute(0, 2, 3, 1) * (2 * self.elastic / width)
        # What comes from beyond the border is paper, as the border itself.
        changed = functional.grid_sample(images[rows], grid, padding_mode="border", align_corners=False)
        return with_rows(images, rows, changed)


def with_rows(images: torch.Tensor, rows: slice, changed: torch.Tensor) -> torch.Tensor:
    """Images of which these rows are changed; the others stay as they are."""
    if len(changed) == len(images):
        return changed
    whole = images.clone()
    whole[rows] = changed
    return whole


@cache
def _between_points(pixels: int, device: torch.device) -> torch.Tensor:
    """The weights of the points for each pixel of a line, [pixels, ELASTIC_POINTS]."""
    import torch
    from torch.nn import functional

    each_alone = torch.eye(ELASTIC_POINTS)[None, None]
    size = (pixels, ELASTIC_POINTS)
    return functional.interpolate(each_alone, size, mode="bicubic", align_corners=True)[0, 0].to(device)
