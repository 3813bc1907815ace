import numpy as np
import pytest
from numpy.typing import NDArray

from digits.evaluation.metrics import AccuracyError, Evaluation, check_accuracy


def answers(predictions: list[int], sure: float = 0.9) -> NDArray[np.float32]:
    probabilities = np.full((len(predictions), 10), (1 - sure) / 9, np.float32)
    probabilities[np.arange(len(predictions)), predictions] = sure
    logarithms: NDArray[np.float32] = np.log(probabilities)
    return logarithms


RESULT = Evaluation(answers([0, 0, 1, 1, 2, 0]), np.array([0, 0, 1, 0, 1, 0]))


def test_accuracy_and_loss() -> None:
    assert RESULT.accuracy == pytest.approx(4 / 6)
    assert RESULT.loss == pytest.approx(-(4 * np.log(0.9) + 2 * np.log(0.1 / 9)) / 6, rel=1e-6)


def test_rows_of_the_confusion_matrix_are_true_digits() -> None:
    expected = np.zeros((10, 10), int)
    expected[0, 0], expected[0, 1], expected[1, 1], expected[1, 2] = 3, 1, 1, 1
    np.testing.assert_array_equal(RESULT.confusion, expected)


def test_precision_and_recall_of_each_digit() -> None:
    zero, one, two, three = RESULT.classes[:4]
    assert zero == {"class": 0, "precision": 1.0, "recall": 0.75, "f1": pytest.approx(6 / 7), "images": 4}
    assert one == {"class": 1, "precision": 0.5, "recall": 0.5, "f1": 0.5, "images": 2}
    assert two == {"class": 2, "precision": 0.0, "recall": 0.0, "f1": 0.0, "images": 0}
    assert three == {"class": 3, "precision": 0.0, "recall": 0.0, "f1": 0.0, "images": 0}


def test_the_worst_mistake_comes_first() -> None:
    log_probabilities = answers([1, 1, 1])
    log_probabilities[2] = answers([1], sure=0.999)[0]
    result = Evaluation(log_probabilities, np.array([0, 1, 0]))
    assert result.mistakes.tolist() == [2, 0]


def test_metrics_are_plain_numbers() -> None:
    metrics = RESULT.metrics
    assert metrics["mistakes"] == 2
    assert metrics["images"] == 6
    assert metrics["macro_precision"] == pytest.approx(0.15)
    assert {type(value) for value in metrics.values()} == {int, float}


def test_the_gate_names_both_numbers() -> None:
    check_accuracy(0.93, 0.93)
    with pytest.raises(AccuracyError, match=r"test accuracy 0.9299 is below evaluate.min_accuracy 0.9300"):
        check_accuracy(0.9299, 0.93)
    with pytest.raises(AccuracyError):
        check_accuracy(float("nan"), 0.0)


def test_there_may_be_any_number_of_classes() -> None:
    logarithms = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32))
    result = Evaluation(logarithms, np.array([0, 1]))
    assert result.confusion.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert [row["class"] for row in result.classes] == [0, 1, 2]
    assert result.metrics["macro_recall"] == pytest.approx(1 / 3)
