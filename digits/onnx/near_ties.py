"""Images on which a model can hardly decide: where rounding alone may change the predicted digit."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from digits.networks.classifier import Classifier

NEWTON_STEPS = 12
REFINEMENTS = 4


def search(classifier: Classifier, images: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Move `count` of these raw images, evenly spread, to where the two most probable digits almost tie.

    Newton steps along the gradient of the margin lead to the tie; rounding to whole grey values leads a
    little away from it again. Then the one pixel, or the two, whose change by one grey value brings the
    margin closest to zero is changed, some times over. All is computed in float64.

    Returns:
        uint8 [count, 1, 28, 28], the closest version of each image; fewer where there are fewer images.
    """
    if not count:
        return images[:0]
    chosen = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    model = copy.deepcopy(classifier).to("cpu", torch.float64).eval()
    moved = images[chosen].astype(np.float64)
    for _ in range(NEWTON_STEPS):
        moved = _newton(moved, *_margins(model, moved))
    best = moved.round()
    smallest, gradients = _margins(model, best)
    for _ in range(REFINEMENTS):
        moved = np.stack([_refine(*one) for one in zip(best, smallest, gradients, strict=True)])
        margins, slopes = _margins(model, moved)
        better = margins < smallest
        best = np.where(better[:, None, None, None], moved, best)
        gradients = np.where(better[:, None, None, None], slopes, gradients)
        smallest = np.minimum(margins, smallest)
    found: NDArray[np.uint8] = best.astype(np.uint8)
    return found


def _margins(
    model: Classifier, images: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The difference of the two largest log-probabilities, and its gradient by grey value."""
    pixels = torch.from_numpy(images).requires_grad_()
    top = model(pixels).topk(2, dim=1).values
    margins = top[:, 0] - top[:, 1]
    (gradients,) = torch.autograd.grad(margins.sum(), pixels)
    return margins.detach().numpy(), gradients.numpy()


def _newton(
    images: NDArray[np.float64], margins: NDArray[np.float64], gradients: NDArray[np.float64]
) -> NDArray[np.float64]:
    # A pixel that is white or black already moves only the other way.
    gradients = gradients * np.where(gradients > 0, images > 0, images < 255)
    lengths = np.square(gradients).sum(axis=(1, 2, 3))
    factors = margins / np.maximum(lengths, np.finfo(np.float64).tiny)
    moved: NDArray[np.float64] = (images - factors[:, None, None, None] * gradients).clip(0, 255)
    return moved


def _refine(
    image: NDArray[np.float64], margin: np.float64, gradient: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Change two pixels by at most one grey value each, so that the margin, if linear, is nearest zero."""
    pixels, slopes = image.ravel(), gradient.ravel()
    numbers = np.concatenate([np.arange(pixels.size), np.arange(pixels.size), [pixels.size]])
    changes = np.concatenate([np.ones(pixels.size), -np.ones(pixels.size), [0.0]])  # the last: none
    possible = [*np.append(pixels < 255, pixels > 0).tolist(), True]
    effects = changes * np.append(np.tile(slopes, 2), 0.0)
    order = np.argsort(effects, kind="stable")
    order = order[np.asarray(possible)[order]]
    places = np.searchsorted(effects[order], -(margin + effects[order])).clip(0, len(order) - 1)
    firsts = np.tile(order, 2)
    seconds = np.concatenate([order[places], order[np.maximum(places - 1, 0)]])
    left = np.abs(margin + effects[firsts] + effects[seconds])
    left[numbers[firsts] == numbers[seconds]] = np.inf
    pair = int(left.argmin())
    moved = np.append(pixels, 0.0)
    for choice in (firsts[pair], seconds[pair]):
        moved[numbers[choice]] += changes[choice]
    return moved[:-1].reshape(image.shape)
