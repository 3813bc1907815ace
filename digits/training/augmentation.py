"""Augmentation: every training image slightly moved, turned, scaled and bent, anew in every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeFloat

from digits.common.section import TopSection

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

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Changed copies of `images`, float [n, 1, height, width], all at once, on their device.

        `generator` is on the CPU, so that every device draws the same changes.
        """
        import torch
        from torch.nn import functional

        count, _, height, width = images.shape
        draws = torch.rand(count, 4, generator=generator).mul_(2).sub_(1)
        angle = draws[:, 0] * (self.rotation * torch.pi / 180)
        # The grid says from where each pixel is taken, hence the inverse of the scale.
        zoom = 1 / (1 + self.scale * draws[:, 1])
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        # A grid counts from -1 to 1 across an image, whatever its size.
        right, down = draws[:, 2] * (2 * self.shift / width), draws[:, 3] * (2 * self.shift / height)
        rows = torch.stack([cos, -sin, right, sin, cos, down], 1)
        grid = functional.affine_grid(rows.view(count, 2, 3), [*images.shape], align_corners=False)
        if self.elastic:
            points = torch.randn(count, 2, ELASTIC_POINTS, ELASTIC_POINTS, generator=generator)
            bend = _between_points(height) @ points @ _between_points(width).t()
            grid += bend.permute(0, 2, 3, 1) * (2 * self.elastic / width)
        # What comes from beyond the border is paper, as the border itself.
        return functional.grid_sample(
            images, grid.to(images.device), padding_mode="border", align_corners=False
        )


def _between_points(pixels: int) -> torch.Tensor:
    """The weights of the points for each pixel of a line, [pixels, ELASTIC_POINTS]."""
    import torch
    from torch.nn import functional

    each_alone = torch.eye(ELASTIC_POINTS)[None, None]
    size = (pixels, ELASTIC_POINTS)
    return functional.interpolate(each_alone, size, mode="bicubic", align_corners=True)[0, 0]
