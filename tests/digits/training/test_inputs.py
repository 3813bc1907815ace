"""What is set aside for a second network."""

import numpy as np

from digits.training.inputs import set_aside


def test_images_set_aside_are_spread_and_at_most_a_sixth() -> None:
    assert set_aside(60, 10).tolist() == [0, 6, 13, 19, 26, 32, 39, 45, 52, 59]
    assert len(set_aside(600, 5000)) == 100
    assert len(np.unique(set_aside(60_000, 5000))) == 5000
