"""The rows that `make recipe-table ARGS=--outside` prints for the documentation."""

from benchmarks.outside import Outside, rows


def trained(accuracy: float, letters: float, taken: float) -> Outside:
    before, after = (
        dict.fromkeys(("expected", "maximum", "brier", "likelihood"), value) for value in (0.05, 0.0125)
    )
    sets = {"coverage": 0.9915, "mean_size": 1.42, "of_one_class": 0.75}
    calibration = {"temperature": accuracy, "before": before, "after": after, "refused": 0.0096, "sets": sets}
    shift = {
        "mean": 0.75,
        "collections": {"drawings": accuracy - 0.01},
        "letters": {"sure": letters, "sure_and_accepted": letters / 2},
    }
    return Outside(accuracy, calibration, shift, {"scribbles": taken})


def test_a_row_has_as_many_cells_as_its_heading() -> None:
    lines = list(rows("robust", [trained(0.99, 0.08, 0.1), trained(0.98, 0.06, 0.2)]))
    assert len(lines) == 6
    for heading, row in zip(lines[::2], lines[1::2], strict=True):
        assert heading.count("|") == row.count("|") > 2


def test_of_several_trainings_a_row_has_mean_and_deviation_and_the_first_ones_calibration() -> None:
    _, calibration, heading, shift, _, taken = rows(
        "robust", [trained(0.99, 0.08, 0.1), trained(0.98, 0.06, 0.2)]
    )
    assert calibration.startswith("| `robust` | 0.990 | 0.0500 → 0.0125 |")
    assert calibration.endswith("| 0.96% | 99.15%, 1.42 |")
    assert heading == "|  | test images | mean over changes | drawings | letters above 90 % | accepted, too |"
    assert shift == (
        "| `robust` | 98.50% ± 0.71% | 75.00% ± 0.00% | 97.50% ± 0.71% | 7.00% ± 1.41% | 3.50% ± 0.71% |"
    )
    assert taken == "| `robust` | 15.00% ± 7.07% |"


def test_of_one_training_there_is_no_deviation() -> None:
    assert list(rows("robust", [trained(0.99, 0.08, 0.1)]))[-1] == "| `robust` | 10.00% |"
