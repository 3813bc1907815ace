"""The robustness is a metric of its own, apart from the pipeline."""

import json
import subprocess
import sys

import pytest

from tests.project import ROOT, STAGES

REPORT = "reports/robustness.json"


def test_dvc_shows_it_beside_the_other_metrics() -> None:
    command = [sys.executable, "-m", "dvc", "metrics", "show", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (files,) = (revision["data"] for revision in json.loads(done.stdout).values())
    names = ("calibration", "metrics", "parity", "robustness", "shift")
    assert {f"reports/{name}.json" for name in names} == set(files)
    for report in (REPORT, "reports/shift.json"):
        own, metrics = files[report]["data"], files["reports/metrics.json"]["data"]
        assert own.keys().isdisjoint(metrics), "one column each"
    assert set(files[REPORT]["data"]["robustness"]["certified_accuracy"]) == {"1", "2", "4", "8"}


def test_a_run_of_the_pipeline_leaves_it_alone() -> None:
    assert {"robustness", "shift"}.isdisjoint(STAGES)


@pytest.mark.parametrize("radius", ["1", "2", "4", "8"])
def test_the_truth_lies_between_what_is_proven_and_what_the_attack_leaves(radius: str) -> None:
    facts = json.loads((ROOT / REPORT).read_text())["robustness"]
    proven, left = (facts[name][radius] for name in ("certified_accuracy", "attacked_accuracy"))
    assert 0 < proven <= left < facts["accuracy"]
