"""Which stage begins when, without DVC or Prefect."""

from collections.abc import Mapping

import pytest

from prefect_dvc.options import StageOptions, read_options
from prefect_dvc.project import ProjectError, Stage
from prefect_dvc.schedule import Schedule

DIAMOND = {"a": "", "b": "a", "c": "a", "d": "abc", "e": ""}


def schedule(
    limits: Mapping[str, float], takes: Mapping[str, Mapping[str, float]] = {}, on_failure: str = "stop"
) -> Schedule:
    stages = [Stage(name, frozenset(upstream)) for name, upstream in DIAMOND.items()]
    options = {name: StageOptions(resources=dict(takes.get(name, {}))) for name in DIAMOND}
    return Schedule(stages, options, limits, on_failure)  # type: ignore[arg-type]


def begun(schedule: Schedule) -> str:
    names = ""
    while stage := schedule.begin():
        names += stage.name
    return names


def test_one_after_the_other_in_the_order_given() -> None:
    found = schedule({"jobs": 1})
    order = ""
    while name := begun(found):
        assert len(name) == 1
        order += name
        found.end(name, True)
    assert order == "abcde"


def test_side_by_side_once_what_comes_before_is_done() -> None:
    found = schedule({"jobs": 3})
    assert begun(found) == "ae"
    found.end("e", True)
    assert begun(found) == ""
    found.end("a", True)
    assert begun(found) == "bc"
    found.end("c", True)
    assert begun(found) == ""
    found.end("b", True)
    assert begun(found) == "d"


def test_a_limit_is_shared_and_one_that_asks_for_more_gets_all() -> None:
    found = schedule({"jobs": 9, "gpu": 1, "cpus": 1}, {"a": {"gpu": 2}, "e": {"gpu": 0.5, "other": 7}})
    assert begun(found) == "a"
    found.end("a", True)
    assert begun(found) == "bce"
    tenths = schedule({"jobs": 9, "cpus": 0.3}, {"a": {"cpus": 0.1}, "e": {"cpus": 0.2}})
    assert begun(tenths) == "ae"


@pytest.mark.parametrize(
    ("on_failure", "skipped", "then"), [("stop", "dce", ""), ("skip-dependents", "d", "ce")]
)
def test_after_a_failure(on_failure: str, skipped: str, then: str) -> None:
    found = schedule({"jobs": 1}, on_failure=on_failure)
    for name, succeeded in (("a", True), ("b", False)):
        assert getattr(found.begin(), "name", None) == name
        found.end(name, succeeded)
    assert found.skipped == dict.fromkeys(skipped, "b")
    assert "".join(_rest(found)) == then


def _rest(found: Schedule) -> list[str]:
    names = []
    while stage := found.begin():
        names.append(stage.name)
        found.end(stage.name, True)
    return names


def test_options_that_cannot_be_name_stage_and_key() -> None:
    with pytest.raises(ProjectError, match=r"stage train: meta\.prefect\.retries is -1: .*greater"):
        read_options([Stage("train", meta={"retries": -1})])
