"""Sets have the right digit as often as promised, on images that are drawn alike."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.calibration import conformal
from digits.calibration.conformal import TooFewImagesError, sets, threshold


def answers(count: int, random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of a model that is far too sure of itself; the promise must not depend on that."""
    logits = 6 * random.standard_normal((count, 10))
    labels = (logits / 4 + random.gumbel(size=(count, 10))).argmax(axis=1)
    return torch.from_numpy(logits).log_softmax(1).numpy(), labels


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_the_promise_is_kept_and_not_by_much(coverage: float) -> None:
    random = np.random.default_rng(5)
    found = []
    for _ in range(200):
        limit = threshold(*answers(200, random), coverage)
        new, labels = answers(500, random)
        found.append(sets(new, limit)[np.arange(500), labels].mean())
    assert coverage - 0.005 < np.mean(found) < coverage + 0.015


def test_the_threshold_is_the_rank_of_the_theorem() -> None:
    own = np.log(np.arange(1, 20) / 20)  # 19 right digits, from the least probable to the most
    table = np.full((19, 10), -9.0)
    table[:, 0] = own
    zeros = np.zeros(19, int)
    assert threshold(table, zeros, 0.95) == own[0], "the 19th largest of 19: ⌈20 · 0.95⌉"
    assert threshold(table, zeros, 0.9) == own[1]
    with pytest.raises(TooFewImagesError, match=r"is 0\.5, which takes more than 0 images set aside; raise"):
        threshold(table[:0], zeros[:0], 0.5)
    with pytest.raises(
        TooFewImagesError,
        match=r"is 0\.96, which takes more than 19 images set aside; lower it to 0\.95 at most",
    ):
        threshold(table, zeros, 0.96)


def test_the_most_probable_digit_is_always_in_the_set() -> None:
    table = np.log(np.array([[0.4, 0.35, 0.25], [0.98, 0.01, 0.01]]))
    assert conformal.sets(table, np.log(0.9)).tolist() == [[True, False, False], [True, False, False]]
    assert conformal.sets(table, np.log(0.3)).sum(axis=1).tolist() == [2, 1]
