"""The subspaces by which familiar images are known, and the threshold below which an image is refused."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from digits.networks.familiarity import PIXELS, Familiarity

DIRECTIONS = 30
RESERVE = 0.01
"""Of the mean squared norm of the training images. docs/calibration.md has what both were chosen by."""
NOTHING = 1e-9
"""Directions with less than this part of a class's largest eigenvalue are none."""


def fit(parts: Iterable[tuple[torch.Tensor, torch.Tensor]], classes: int) -> Familiarity:
    """From training images [n, 1, 28, 28], grey values scaled to [0, 1], and their labels [n], in parts.

    All is computed in float64 and rounded to float32. A class without images gets no directions.
    """
    moments = torch.zeros(classes, PIXELS, PIXELS, dtype=torch.float64)
    count = 0
    for images, labels in parts:
        averaged = functional.avg_pool2d(images.double(), 2).flatten(1)
        for label in range(classes):
            own = averaged[labels == label]
            moments[label] += own.T @ own
        count += len(labels)
    values, vectors = torch.linalg.eigh(moments)
    basis = vectors[:, :, -DIRECTIONS:].flip(2).transpose(1, 2)
    kept = values[:, -DIRECTIONS:].flip(1) > NOTHING * values[:, -1:].clamp(min=1e-300)
    # A direction may point either way, and libraries differ in which.
    largest = basis.gather(2, basis.abs().argmax(2, keepdim=True))
    basis = basis * largest.sign() * kept[:, :, None]
    squares = moments.diagonal(dim1=1, dim2=2).sum().item() / count
    return Familiarity(basis.float(), RESERVE * squares)


def threshold(scores: NDArray[np.floating], refuse: float) -> float:
    """The score below which at most this share of the images set aside lies: scores below it are refused."""
    number = math.floor(refuse * len(scores))
    return float(np.sort(scores)[number])
