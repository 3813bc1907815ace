import pytest

from flows.__main__ import main
from flows.request import RequestError, with_recipe
from tests.project import ROOT


def test_without_a_recipe_the_overrides_are_all() -> None:
    assert with_recipe(ROOT, None, {"train.epochs": 4}) == {"train.epochs": 4}


def test_overrides_go_before_the_values_of_a_recipe() -> None:
    values = with_recipe(ROOT, "speedrun", {"train.epochs": 4, "train.seed": 7})
    assert (values["train.epochs"], values["train.seed"]) == (4, 7)
    assert values["train.solver"] == "adamw"
    assert values["augmentation.shift"] == 0.0, "what the recipe does not name is as in the tutorial"


def test_an_unknown_recipe_is_a_request_that_is_not_possible() -> None:
    with pytest.raises(RequestError, match="there is no recipe 'fastest'; there are accurate-mlp, "):
        with_recipe(ROOT, "fastest", {})


@pytest.mark.parametrize("value", ["{}", "train.epochs=[{}"])
def test_a_long_option_makes_no_long_line(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--set", value.format("a" * 50_000)])
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert "aaa" in said
    assert len(said) < 1000
