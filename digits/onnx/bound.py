"""How far the answers of any float32 runtime can be from the exact ones. docs/proof.md has the theorem."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from digits.networks.classifier import Classifier
from digits.onnx import layers
from digits.onnx.layers import Layer
from digits.onnx.propagation import forward, of_logits
from digits.onnx.rounding import OUTWARD, OVERFLOW, gamma, of_log_softmax

Floats = NDArray[np.float64]

CHUNK = 250
UNITS = 500_000
"""Images and units at a time: what the caches hold, and the memory."""


class Bounds(NamedTuple):
    """The exact answers, and how far any runtime can be from them."""

    logits: Floats
    """[n, classes], exact to float64."""
    differences: Floats
    """[n, classes, classes]: of the computed difference of two log-probabilities; inf: no bound."""

    @property
    def digits(self) -> NDArray[np.integer]:
        """The exact predictions [n]."""
        found: NDArray[np.integer] = self.logits.argmax(axis=1)
        return found

    @property
    def slack(self) -> Floats:
        """[n, classes]: by how much the margin over each other digit exceeds its bound; inf for itself."""
        rows = np.arange(len(self.logits))
        top = self.digits
        found: Floats = self.logits[rows, top, None] - self.logits - self.differences[rows, top]
        found[rows, top] = np.inf
        return found

    @property
    def certain(self) -> NDArray[np.bool_]:
        """[n]: whether every runtime predicts this digit, and none another one equally."""
        found: NDArray[np.bool_] = self.slack.min(axis=1) > 0
        return found


def bounds(classifier: Classifier, images: NDArray[np.uint8]) -> Bounds:
    """What every float32 runtime must answer for raw images uint8 [n, 1, 28, 28].

    Raises:
        UnknownNetworkError: the network has a layer of a kind that the theorem does not treat.
    """
    network = layers.of(classifier)
    normalization = float(classifier.mean), float(classifier.std)
    return in_chunks(lambda pictures: _bounds(network, pictures, *normalization), network, images, CHUNK)


@torch.inference_mode()
def in_chunks(
    of_pictures: Callable[[Tensor], tuple[Tensor, Tensor]],
    network: Iterable[Layer],
    images: NDArray[np.uint8],
    most: int,
) -> Bounds:
    """The bounds of all images, by so many at once as fit into memory.

    Args:
        of_pictures: logits and differences, as in `Bounds`, of pictures [n, 1, 28, 28] in [0, 1].
        images: raw, uint8 [n, 1, 28, 28].
        most: images at once.
    """
    units = sum(math.prod(layer.shape) for layer in network)
    chunks = torch.from_numpy(images).split(max(1, min(most, UNITS // units)))
    parts = [of_pictures(chunk.double() / 255) for chunk in chunks]
    logits, differences = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return Bounds(logits, differences)


def _bounds(network: Sequence[Layer], pictures: Tensor, mean: float, std: float) -> tuple[Tensor, Tensor]:
    """Logits and differences, as in `Bounds`, of pictures [n, 1, 28, 28] in [0, 1]."""
    forwards = forward(network, pictures, mean, std)
    logits, found = forwards[-1].outputs, of_logits(network, forwards)
    found = (found + of_log_softmax(logits.amax(1, keepdim=True) - logits, found)) * OUTWARD
    largest = torch.stack([layer.error.flatten(1).amax(1) for layer in forwards]).amax(0)
    safe = largest <= gamma(1) * OVERFLOW
    return logits, found.masked_fill(~safe[:, None, None], torch.inf)
