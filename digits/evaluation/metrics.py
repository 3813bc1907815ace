"""How good a model is: accuracy, loss, precision and recall of each class, confusion matrix, mistakes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.common.errors import DigitsError


class AccuracyError(DigitsError):
    """The model is worse than it may be."""


@dataclass(frozen=True)
class Evaluation:
    """Answers of a model on labelled images."""

    log_probabilities: NDArray[np.floating]
    """[n, classes], natural logarithm."""
    labels: NDArray[np.integer]
    """[n], the index of each one's class."""

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The most probable classes, [n]."""
        best: NDArray[np.int64] = self.log_probabilities.argmax(axis=1)
        return best

    @property
    def accuracy(self) -> float:
        """Share of right predictions, 0 to 1."""
        return float((self.predictions == self.labels).mean())

    @property
    def loss(self) -> float:
        """Mean cross entropy in nats, 0 to ∞, summed in float64."""
        chosen = self.log_probabilities[np.arange(len(self.labels)), self.labels]
        return float(-chosen.astype(np.float64).mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How often the class of the row was taken for that of the column, [classes, classes]."""
        count = self.log_probabilities.shape[1]
        pairs = self.labels * count + self.predictions
        return np.bincount(pairs, minlength=count * count).reshape(count, count)

    @property
    def classes(self) -> list[dict[str, Any]]:
        """For each class its index, precision, recall, F1 (0 to 1; 0 if undefined) and number of images."""
        confusion = self.confusion
        rows = []
        for index in range(len(confusion)):
            hits, predicted, images = (
                int(n) for n in (confusion[index, index], confusion[:, index].sum(), confusion[index].sum())
            )
            precision = hits / predicted if predicted else 0.0
            recall = hits / images if images else 0.0
            f1 = 2 * hits / (predicted + images) if predicted + images else 0.0
            rows.append(
                {"class": index, "precision": precision, "recall": recall, "f1": f1, "images": images}
            )
        return rows

    @property
    def mistakes(self) -> NDArray[np.int64]:
        """Indices of the wrong predictions, those first that gave the right class the least probability."""
        right = self.log_probabilities[np.arange(len(self.labels)), self.labels]
        wrong = np.flatnonzero(self.predictions != self.labels)
        return wrong[np.argsort(right[wrong], kind="stable")]

    @property
    def metrics(self) -> dict[str, float | int]:
        """The figures to compare models by."""
        classes = self.classes
        return {
            "accuracy": self.accuracy,
            "loss": self.loss,
            "macro_precision": sum(row["precision"] for row in classes) / len(classes),
            "macro_recall": sum(row["recall"] for row in classes) / len(classes),
            "macro_f1": sum(row["f1"] for row in classes) / len(classes),
            "mistakes": len(self.mistakes),
            "images": len(self.labels),
        }


def check_accuracy(accuracy: float, minimum: float) -> None:
    """The gate. Raises AccuracyError with both numbers."""
    if not accuracy >= minimum:
        raise AccuracyError(
            f"test accuracy {accuracy:.4f} is below evaluate.min_accuracy {minimum:.4f}; reports/ shows the "
            "mistakes; to keep such a model on purpose, lower evaluate.min_accuracy"
        )
