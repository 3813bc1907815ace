"""Sets of digits that have the right one in a stated share of cases: split conformal prediction.

V. Vovk, A. Gammerman, G. Shafer: Algorithmic Learning in a Random World, 2005; the score is that of
M. Sadinle, J. Lei, L. Wasserman: Least Ambiguous Set-Valued Classifiers, JASA 2019.
"""

import math

import numpy as np
from numpy.typing import NDArray

from digits.common.errors import DigitsError


class TooFewImagesError(DigitsError):
    """So few images are set aside that no threshold keeps the promise."""


def threshold(log_probabilities: NDArray[np.floating], labels: NDArray[np.integer], coverage: float) -> float:
    """The log-probability that a digit needs to be in the set, from answers [n, 10] for images set aside.

    It is the ⌈(n + 1) coverage⌉-th largest of the n right digits' own. The set of a new image that is drawn
    as these were (exchangeable with them) has its digit with at least the probability `coverage`.

    Raises:
        TooFewImagesError: (n + 1) coverage is above n.
    """
    own = np.sort(log_probabilities[np.arange(len(labels)), labels].astype(np.float64))[::-1]
    rank = math.ceil((len(own) + 1) * coverage)
    if rank > len(own):
        raise TooFewImagesError(
            f"calibrate.coverage is {coverage}, which takes more than {len(own):,} images set aside; raise "
            "calibrate.images, or normalize.validation_size where that is not 0"
        )
    return float(own[rank - 1])


def sets(log_probabilities: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Which digits are in the set of each image, [n, 10]; the most probable one always is."""
    found: NDArray[np.bool_] = log_probabilities >= threshold
    found[np.arange(len(found)), log_probabilities.argmax(axis=1)] = True
    return found
