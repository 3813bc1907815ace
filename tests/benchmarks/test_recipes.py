"""What the table of recipes says of a record."""

import pytest

from benchmarks.recipes import Run, confidence, record


def test_the_confidence_is_that_of_a_t_test() -> None:
    from scipy import stats  # takes a second

    accuracies = [0.981, 0.984, 0.982, 0.979, 0.9835]
    for bar in (0.975, 0.98, 0.982, 0.99):
        tested = stats.ttest_1samp(accuracies, bar, alternative="less").pvalue
        assert confidence(accuracies, bar) == pytest.approx(tested)
    with pytest.raises(ValueError, match="the same"):
        confidence([0.98, 0.98], 0.97)


def test_a_record_counts_the_whole_process() -> None:
    runs = [Run(0.981, 1.0, 3.0, None), Run(0.983, 1.5, 4.0, None), Run(0.982, 1.2, 5.0, None)]
    sure, seconds = record(runs, 0.98)
    assert sure.startswith("  mean above 98.0% with a confidence of 0.96")
    assert seconds == "  whole train process: 4.00 s ± 1.00 s (3.00 to 5.00)"
