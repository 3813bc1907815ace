"""Calibration errors and Brier score, against cases that can be reckoned by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.evaluation.reliability import BINS, Reliability


def answers(sure: list[float]) -> NDArray[np.float64]:
    """Log-probabilities that give 0 these probabilities, and the rest to the others alike."""
    table = np.repeat((1 - np.array(sure))[:, None] / 9, 10, axis=1)
    table[:, 0] = sure
    logarithms: NDArray[np.float64] = np.log(table)
    return logarithms


def test_errors_of_two_bins() -> None:
    """300 answers with 0.9 of which 240 are right, 100 with 0.5 of which 60 are right."""
    labels = np.repeat([0, 1, 0, 1], [240, 60, 60, 40])
    found = Reliability(answers([0.9] * 300 + [0.5] * 100), labels).figures
    assert found["expected_calibration_error"] == pytest.approx(0.75 * 0.1 + 0.25 * 0.1)
    assert found["maximum_calibration_error"] == pytest.approx(0.1)
    wrong = [(1 - p) ** 2 * (8 / 81) + (1 - (1 - p) / 9) ** 2 + p**2 for p in (0.9, 0.5)]
    right = [(1 - p) ** 2 * (1 + 9 / 81) for p in (0.9, 0.5)]
    brier = (240 * right[0] + 60 * wrong[0] + 60 * right[1] + 40 * wrong[1]) / 400
    assert found["brier_score"] == pytest.approx(brier)
    likelihood = 240 * np.log(0.9) + 60 * np.log(0.1 / 9) + 60 * np.log(0.5) + 40 * np.log(0.5 / 9)
    assert found["negative_log_likelihood"] == pytest.approx(-likelihood / 400)


def test_a_bin_of_few_images_has_no_part_in_the_maximum_alone() -> None:
    labels = np.repeat([0, 1], [900, 100 + 50])
    found = Reliability(answers([0.9] * 1000 + [0.5] * 50), labels).figures
    assert found["maximum_calibration_error"] == pytest.approx(0.0, abs=1e-12)
    assert found["expected_calibration_error"] == pytest.approx(50 / 1050 * 0.5)


def test_bins_have_all_images_and_include_their_upper_limit() -> None:
    bins = Reliability(answers([1 / 3, 2 / 3, 0.999999, 0.34]), np.zeros(4, int)).bins
    assert len(bins) == BINS
    filled = [(row["images"], round(row["up_to"], 4)) for row in bins if row["images"]]
    assert filled == [(1, 0.3333), (1, 0.4), (1, 0.6667), (1, 1.0)]
    assert [row["accuracy"] for row in bins if row["images"]] == [1.0] * 4
    assert bins[0]["confidence"] is None
