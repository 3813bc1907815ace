"""How far probabilities can be trusted: calibration errors, Brier score, reliability by bins."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.evaluation.metrics import Evaluation

BINS = 15
"""Of equal width, from 0 to 1, as in C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017."""
FEWEST = 100
"""Images that a bin needs to count for the maximum: of fewer, the share of right answers is not known to
five points of a hundred."""


class Reliability(Evaluation):
    """Answers of a model on labelled images, judged by the probability that they give to their class."""

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """[n, classes], of sum 1."""
        found: NDArray[np.float64] = np.exp(self.log_probabilities.astype(np.float64))
        found /= found.sum(axis=1, keepdims=True)
        return found

    @property
    def bins(self) -> list[dict[str, Any]]:
        """Of each bin its limits, images, mean confidence and accuracy; None where there are no images.

        Confidence is the probability of the most probable class; a bin includes its upper limit.
        """
        confidence = self.probabilities.max(axis=1)
        right = self.predictions == self.labels
        place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        return [
            {
                "above": number / BINS,
                "up_to": (number + 1) / BINS,
                "images": int(mine.sum()),
                "confidence": float(confidence[mine].mean()) if mine.any() else None,
                "accuracy": float(right[mine].mean()) if mine.any() else None,
            }
            for number in range(BINS)
            for mine in [place == number]
        ]

    @property
    def figures(self) -> dict[str, float]:
        """Expected and maximum calibration error (0 to 1), Brier score (0 to 2), likelihood (nats).

        The expected error is the mean of |accuracy - confidence| over the bins, weighted by their images; the
        maximum looks at bins of at least `FEWEST` images. The Brier score is the mean of the squared
        distance between all probabilities and the truth (G. W. Brier, 1950).
        """
        filled = [row for row in self.bins if row["images"]]
        gaps = [(row["images"], abs(row["accuracy"] - row["confidence"])) for row in filled]
        rows, probabilities = np.arange(len(self.labels)), self.probabilities
        squares = np.square(probabilities).sum(axis=1) - 2 * probabilities[rows, self.labels] + 1
        return {
            "expected_calibration_error": sum(count * gap for count, gap in gaps) / len(self.labels),
            "maximum_calibration_error": max((gap for count, gap in gaps if count >= FEWEST), default=0.0),
            "brier_score": float(squares.mean()),
            "negative_log_likelihood": self.loss,
        }
