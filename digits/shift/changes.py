"""Fifteen changes of images, each at three severities.

Their kinds are those of MNIST-C (N. Mu and J. Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision,
2019); how they are made and how severe they are is this project's own.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digits.shift import edges, geometry, lenses, stains
from digits.shift.grey import Grey, rounded

CHUNK = 500
"""Images at a time: they stay near the processor."""


@dataclass(frozen=True)
class Change:
    """A kind of change."""

    apply: Callable[[Grey, np.random.Generator, float], Grey]
    severities: tuple[float, float, float]
    """What `apply` takes, from the mildest to the most severe."""
    unit: str
    """What they are."""


CHANGES = {
    "shot_noise": Change(stains.shot_noise, (12, 5, 2), "photons"),
    "impulse_noise": Change(stains.impulse_noise, (0.05, 0.12, 0.25), "share of the pixels"),
    "glass_blur": Change(lenses.glass_blur, (1, 2, 3), "pixels"),
    "motion_blur": Change(lenses.motion_blur, (5, 8, 12), "pixels"),
    "shear": Change(geometry.shear, (0.2, 0.4, 0.6), "pixels sideways per pixel up"),
    "scale": Change(geometry.scale, (0.85, 0.7, 0.55), "part of the size"),
    "rotate": Change(geometry.rotate, (10, 20, 35), "degrees"),
    "brightness": Change(lenses.brightness, (40, 90, 150), "grey values"),
    "translate": Change(geometry.translate, (1, 2, 4), "pixels along both axes"),
    "stripe": Change(stains.stripe, (1, 3, 6), "pixels"),
    "fog": Change(lenses.fog, (0.3, 0.7, 1.4), "parts of cloud to one of image"),
    "spatter": Change(stains.spatter, (0.03, 0.08, 0.15), "share of the image"),
    "dotted_line": Change(stains.dotted_line, (1, 2, 3), "lines"),
    "zigzag": Change(stains.zigzag, (1, 2, 3), "lines"),
    "canny_edges": Change(edges.canny_edges, (0.5, 0.8, 1.0), "share of edges"),
}
SEVERITIES = (1, 2, 3)


def changed(images: NDArray[np.uint8], name: str, severity: int, seed: int) -> NDArray[np.uint8]:
    """Images [n, 28, 28] after a change of this name.

    The same images, name, severity and seed give the same bytes; what is drawn for an image also depends on
    how many come before it.

    Args:
        severity: 1, 2 or 3.
    """
    change = CHANGES[name]
    random = np.random.default_rng([seed, severity, zlib.crc32(name.encode())])
    value = change.severities[severity - 1]
    found = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        found[part] = rounded(change.apply(images[part].astype(np.float64), random, value))
    return found
