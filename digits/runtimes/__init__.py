"""What computes the model: one file for each runtime, all behind one protocol."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from digits.errors import DigitsError


class RuntimeUnavailableError(DigitsError):
    """A runtime that was asked for is not here, or would be replaced by another without a word."""


class Runtime(Protocol):
    """A loaded model."""

    name: str
    version: str
    provider: str
    """What really computes, as the runtime itself reports it."""

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.floating]:
        """Log-probabilities [n, 10] of raw images [n, 1, 28, 28], computed as one batch."""
