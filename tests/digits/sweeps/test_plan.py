from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from digits.sweeps.plan import PlanError, Range, lay_out, read
from tests.project import ROOT

VALID: dict[str, Any] = {
    "about": "for a test",
    "fixed": {"normalize.validation_size": 100},
    "configurations": [{"name": "sgd", "over": {"solvers.sgd.lr": [0.1, 0.2]}}],
    "seeds": [1, 2],
}
MakePlan = Callable[..., Path]


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    def make(**changes: Any) -> Path:
        path = tmp_path / "plan.yaml"
        YAML().dump({key: value for key, value in {**VALID, **changes}.items() if value is not None}, path)
        return path

    return make


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda path: str(path.stem))
def test_each_sweep_of_the_project_is_possible(path: Path) -> None:
    plan = read(path)
    points = lay_out(plan, ROOT / "params.yaml")
    assert {p.configuration for p in points} >= {c.name for c in plan.configurations}


def test_a_grid_is_every_combination_and_the_baseline(make_plan: MakePlan, params_file: Path) -> None:
    over = {"solvers.sgd.lr": [0.1, 0.2], "train.batch_size": [8, 16]}
    path = make_plan(configurations=[{"name": "sgd", "set": {"train.epochs": 2}, "over": over}])
    baseline, *points = lay_out(read(path), params_file)
    assert baseline.label == "params.yaml"
    assert baseline.overrides == {"normalize.validation_size": 100}
    assert [p.label for p in points] == [
        "sgd lr=0.1 batch_size=8",
        "sgd lr=0.1 batch_size=16",
        "sgd lr=0.2 batch_size=8",
        "sgd lr=0.2 batch_size=16",
    ]
    assert points[3].overrides == {
        "normalize.validation_size": 100,
        "train.epochs": 2,
        "solvers.sgd.lr": 0.2,
        "train.batch_size": 16,
    }
    assert points[3].with_seed(7).training.solver.model_dump()["lr"] == 0.2
    assert points[3].with_seed(7).train.seed == 7


def test_a_params_file_that_is_missing_is_named_once(make_plan: MakePlan, tmp_path: Path) -> None:
    with pytest.raises(PlanError) as error:
        lay_out(read(make_plan()), tmp_path / "params.yaml")
    assert str(error.value) == f"{tmp_path}/params.yaml: there is no such file; run from the project's folder"


def test_a_named_baseline_adds_nothing(make_plan: MakePlan, params_file: Path) -> None:
    path = make_plan(configurations=[{"name": "a"}, {"name": "b", "set": {"train.epochs": 1}}], baseline="a")
    assert [p.label for p in lay_out(read(path), params_file)] == ["a", "b"]


def test_a_random_search_draws_from_its_seed(make_plan: MakePlan, params_file: Path) -> None:
    over = {
        "solvers.sgd.lr": {"low": 0.001, "high": 0.1, "log": True},
        "train.batch_size": {"low": 16, "high": 64, "whole": True},
        "train.schedule": ["constant", "cosine"],
    }
    search = {"search": "random", "points": 200, "configurations": [{"name": "any", "over": over}]}

    def draw(seed: int) -> list[dict[str, Any]]:
        points = lay_out(read(make_plan(**search, search_seed=seed)), params_file)
        return [dict(p.chosen) for p in points[1:]]

    found = draw(1)
    assert found == draw(1)
    assert found != draw(2)
    assert len(found) == 200
    rates = [point["solvers.sgd.lr"] for point in found]
    assert 0.001 <= min(rates) < 0.002
    assert 0.05 < max(rates) <= 0.1
    assert 60 < sum(rate < 0.01 for rate in rates) < 140, "each order of magnitude is as likely"
    assert {type(point["train.batch_size"]) for point in found} == {int}
    assert {point["train.schedule"] for point in found} == {"constant", "cosine"}


def test_a_range_of_whole_numbers_reaches_both_ends() -> None:
    import random

    generator = random.Random(1)
    assert {Range(low=1, high=3, whole=True).draw(generator) for _ in range(99)} == {1, 2, 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"about": None}, "about is missing"),
        ({"seeds": []}, "seeds is []; allowed: List should have at least 1 item"),
        ({"sedes": [1]}, "sedes is [1], but there is no such key; allowed here: about, baseline,"),
        ({"baseline": "adam"}, "baseline is 'adam'; allowed: params.yaml, sgd"),
        ({"baseline": "sgd"}, "the baseline sgd has choices; give tune_seeds to choose by"),
        ({"search": "random"}, "search: random needs points, and points need search: random"),
        ({"points": 3}, "search: random needs points, and points need search: random"),
        ({"seeds": [1, 2, 1]}, "seeds must differ, as equal ones are one trial"),
        ({"tune_seeds": [3, 3]}, "tune_seeds must differ, as equal ones are one trial"),
        ({"configurations": [{"name": "a"}, {"name": "a"}]}, "configurations need different names"),
        ({"configurations": [{"name": "params.yaml"}]}, "configurations need different names"),
        (
            {"configurations": [{"name": "a", "over": {"train.epochs": {"low": 1.0, "high": 2.0}}}]},
            "a has a range, which needs search: random",
        ),
    ],
)
def test_a_mistake_in_a_plan_is_one_line(make_plan: MakePlan, changes: dict[str, Any], message: str) -> None:
    path = make_plan(**changes)
    with pytest.raises(PlanError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"configurations": [{"name": "bad", "over": {"solvers.sgd.lr": [0.1, -1.0]}}]},
            "bad: .*solvers.sgd.lr is -1.0; allowed: greater than 0$",
        ),
        (
            {"configurations": [{"name": "bad", "set": {"train.epoch": 3}}]},
            "train.epoch is 3, but there is no",
        ),
        ({"fixed": {}}, "normalize.validation_size is 0, so there are no images to compare by"),
    ],
)
def test_values_are_checked_before_any_work(
    make_plan: MakePlan, params_file: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        lay_out(read(make_plan(**changes)), params_file)


def test_a_mistake_of_many_points_is_told_once_and_of_many_mistakes_the_first(
    make_plan: MakePlan, params_file: Path
) -> None:
    every = [{"name": "n" * 1000}, {"name": "b"}]
    bad = {"name": "bad", "over": {"solvers.sgd.lr": [-float(n) for n in range(1000)]}}
    fixed = {**VALID["fixed"], "train.epochs": "many"}
    path = make_plan(fixed=fixed, configurations=[*every, bad])
    with pytest.raises(PlanError) as error:
        lay_out(read(path), params_file)
    once, second, *others = str(error.value).splitlines()
    assert once == f"params.yaml and 3 more: {params_file}: train.epochs is 'many'; allowed: integer"
    assert second == f"bad: {params_file}: solvers.sgd.lr is -0.0; allowed: greater than 0"
    assert others[-1] == "and 981 more mistakes"
    assert len(others) == 19


def test_a_long_name_is_cut(make_plan: MakePlan, params_file: Path) -> None:
    path = make_plan(configurations=[{"name": "n" * 100_000, "set": {"train.epochs": 0}}])
    with pytest.raises(PlanError) as error:
        lay_out(read(path), params_file)
    assert len(str(error.value)) < 1000
    names = [{"name": f"configuration {number}"} for number in range(5000)]
    with pytest.raises(PlanError) as error:
        read(make_plan(configurations=names, baseline="another"))
    assert len(str(error.value)) < 2000


def test_a_missing_plan_names_those_there_are(make_plan: MakePlan) -> None:
    path = make_plan()
    with pytest.raises(PlanError, match=r"other.yaml: there is no such file; sweeps: .*plan.yaml$"):
        read(path.with_name("other.yaml"))


def test_broken_yaml_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("about: [")
    with pytest.raises(PlanError, match="not valid YAML: "):
        read(tmp_path / "broken.yaml")


def test_a_key_that_is_none_is_told_with_those_that_are(make_plan: MakePlan) -> None:
    path = make_plan(configurations=[{"name": "a", "sett": {"train.epochs": 1}}])
    with pytest.raises(PlanError, match=r"configurations\.0\.sett is .* allowed here: name, over, set$"):
        read(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"search": "random", "points": 10**9},
        {"configurations": [{"name": "a", "over": {f"train.{n}": [*range(20)] for n in range(20)}}]},
        {"seeds": [*range(9000)]},
    ],
)
def test_a_sweep_has_an_end(make_plan: MakePlan, changes: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=r"that is [\d,]+ trials; a sweep has at most 10,000"):
        read(make_plan(**changes))
