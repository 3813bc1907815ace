"""Sets of classes that have the right one in a stated share of cases: split conformal prediction.

V. Vovk, A. Gammerman, G. Shafer: Algorithmic Learning in a Random World, 2005; the score is that of
M. Sadinle, J. Lei, L. Wasserman: Least Ambiguous Set-Valued Classifiers, JASA 2019.
"""

import math

import numpy as np
from numpy.typing import NDArray

from digits.common.errors import DigitsError


class TooFewImagesError(DigitsError):
    """So few images are set aside that no threshold keeps the promise."""


def rank(count: int, coverage: float) -> int:
    """Which of the log-probabilities that `count` images give to their classes is the threshold, from 1.

    Raises:
        TooFewImagesError: (count + 1) coverage is above count.
    """
    found = math.ceil((count + 1) * coverage)
    if found > count:
        possible = math.floor(1000 * count / (count + 1)) / 1000
        lower = f"lower it to {possible:g} at most, or raise" if possible >= 0.5 else "raise"
        raise TooFewImagesError(
            f"the coverage is {coverage:g}, which takes more than {count:,} images set aside; {lower} "
            "crossfit.images (of which a sixth of the training images is the most) or "
            "normalize.validation_size; calibrate.coverage states it, or the set's own"
        )
    return found


def threshold(log_probabilities: NDArray[np.floating], labels: NDArray[np.integer], coverage: float) -> float:
    """The log-probability that a class needs to be in the set, from answers [n, classes] for images aside.

    It is the ⌈(n + 1) coverage⌉-th largest of the n right classes' own. The set of a new image that is drawn
    as these were (exchangeable with them) has its class with at least the probability `coverage`.

    Raises:
        TooFewImagesError: (n + 1) coverage is above n.
    """
    own = np.sort(log_probabilities[np.arange(len(labels)), labels].astype(np.float64))[::-1]
    return float(own[rank(len(own), coverage) - 1])


def sets(log_probabilities: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Which classes are in the set of each image, [n, classes]; the most probable one always is."""
    found: NDArray[np.bool_] = log_probabilities >= threshold
    found[np.arange(len(found)), log_probabilities.argmax(axis=1)] = True
    return found
