import json
from pathlib import Path

from flows.summary import summary
from prefect_dvc.transcript import Outcome, StageResult


def test_numbers_are_those_of_the_stages_of_this_run(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "metrics.json").write_text(json.dumps({"accuracy": 0.9465, "loss": 0.172}))
    (reports / "parity.json").write_text(json.dumps({"passed": False, "class_flips": 2}))
    train = StageResult("train", Outcome.RAN, 12.3)
    evaluate = StageResult("evaluate", Outcome.UP_TO_DATE, 0.1)
    verify = StageResult("verify", Outcome.RESTORED, 1.0)

    assert "accuracy" not in summary([train], tmp_path)
    assert "FAILED" not in summary([train, evaluate], tmp_path)
    text = summary([train, evaluate, verify], tmp_path)
    assert text.splitlines() == [
        "accuracy    94.65%",
        "loss        0.1720",
        "parity      FAILED; 2 class flips",
        "",
        "metrics     reports/metrics.json",
        "parity      reports/parity.json",
        "",
        "train         12.3 s  ran",
        "evaluate       0.1 s  up to date",
        "verify         1.0 s  restored from cache",
        "all stages    13.4 s",
    ]


def test_a_broken_report_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/metrics.json").write_text("{")
    assert "accuracy" not in summary([StageResult("evaluate", Outcome.RAN, 1.0)], tmp_path)
