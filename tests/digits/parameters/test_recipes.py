import copy
from pathlib import Path

import pytest

from digits.networks import model_file
from digits.parameters import recipes
from digits.parameters import schema as parameters
from digits.parameters.recipes import RecipeError
from tests.project import ROOT

FOLDER = ROOT / "recipes"
NAMES = recipes.names(FOLDER)
VALID = """
about: for a test
claim: {accuracy: 0.9, deviation: 0.01, seeds: [1, 2, 3, 4, 5], seconds: 1.5, hardware: any}
parameters: {train: {epochs: 2}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tutorial.yaml").write_text(VALID)
    return tmp_path


def test_the_promised_recipes_are_there() -> None:
    assert {"tutorial", "fast-mlp", "accurate-mlp", "cnn", "speedrun", "robust-mlp"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_valid_by_the_schema_of_params_yaml(name: str) -> None:
    chosen = parameters.read(ROOT / "params.yaml", recipes.overrides(FOLDER, name))
    assert chosen.train.seed == 42
    assert chosen.evaluate.min_accuracy < recipes.read(FOLDER, name).claim.accuracy


def test_a_teacher_is_the_network_of_the_recipe_that_it_is_called_by() -> None:
    """It is a file among the sources, so that a taught recipe needs no other run before it."""
    teachers = {str(recipes.overrides(FOLDER, name)["train.teacher"]) for name in NAMES}
    wanted = {Path(teacher).stem for teacher in teachers - {"none"}}
    assert wanted == {"robust-cnn"}
    for name in wanted:
        teacher = model_file.load(ROOT / f"teachers/{name}.safetensors")
        made = parameters.read(ROOT / "params.yaml", recipes.overrides(FOLDER, name))
        kept = copy.deepcopy(teacher.parameters)
        for key, value in {"separable": False, "stem": 0}.items():
            kept["models"]["cnn"].setdefault(key, value)  # the file is from before they could be chosen
        assert kept == made.training.origin
        assert teacher.about.set == "mnist"


@pytest.mark.parametrize("name", ["fast-mlp", "accurate-mlp"])
def test_the_network_is_that_of_the_tutorial(name: str) -> None:
    chosen = parameters.read(ROOT / "params.yaml", recipes.overrides(FOLDER, name))
    assert chosen.train.model == "mlp"
    assert chosen.training.model.model_dump()["hidden_sizes"] == [256, 128, 64]


@pytest.mark.parametrize("name", NAMES)
def test_no_choice_of_before_is_left_behind(name: str, params_file: Path) -> None:
    """The tutorial names every value that a recipe changes, so that it takes all of them back."""
    committed, text = parameters.read(params_file), params_file.read_text()
    parameters.write(params_file, recipes.overrides(FOLDER, name))
    parameters.write(params_file, recipes.overrides(FOLDER, "tutorial"))
    assert parameters.read(params_file) == committed
    assert params_file.read_text().split() == text.split(), "lists stay in one line, comments in their place"


def test_a_recipe_says_what_it_changes_only(folder: Path) -> None:
    (folder / "own.yaml").write_text(VALID.replace("{epochs: 2}", "{batch_size: 8, epochs: 3}"))
    assert recipes.overrides(folder, "own") == {"train.epochs": 3, "train.batch_size": 8}
    assert recipes.overrides(folder, "tutorial") == {"train.epochs": 2}


def test_a_long_name_makes_no_long_line(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"there is no recipe 'aaa.*; there are tutorial") as error:
        recipes.overrides(folder, "a" * 50_000)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("name", ["../out", "sub/../../out", "", "..", "-h", "*", "tutorial.yaml", "a\0"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (folder := tmp_path / "recipes").mkdir()
    (folder / "sub").mkdir()
    for path in (tmp_path / "out.yaml", folder / "tutorial.yaml"):
        path.write_text(VALID)
    with pytest.raises(RecipeError, match=r"^there is no recipe '.*'; there are tutorial$"):
        recipes.read(folder, name)


def test_a_list_is_one_value(folder: Path) -> None:
    (folder / "own.yaml").write_text(VALID.replace("{epochs: 2}", "{loss: [{name: a, weight: 1.0}]}"))
    assert recipes.overrides(folder, "own")["train.loss"] == [{"name": "a", "weight": 1.0}]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("about: for a test\n", "", "about is missing"),
        ("seeds: [1, 2, 3, 4, 5]", "seeds: [1]", "claim.seeds is [1]; allowed: List should have at least 5"),
        ("hardware", "machine", "claim.hardware is missing"),
        ("accuracy: 0.9", "accuracy: 98", "claim.accuracy is 98; allowed: less than or equal to 1"),
        ("parameters:", "values:", "parameters is missing"),
        ("{epochs: 2}", "{epochs: 2", "not valid YAML: "),
    ],
)
def test_a_mistake_in_a_recipe_is_one_line(folder: Path, old: str, new: str, message: str) -> None:
    (folder / "own.yaml").write_text(VALID.replace(old, new))
    with pytest.raises(RecipeError) as error:
        recipes.overrides(folder, "own")
    assert str(error.value).startswith(f"{folder / 'own.yaml'}: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["fast", "../recipes/tutorial", ""])
def test_an_unknown_recipe_names_those_there_are(folder: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=r"there is no recipe .*; there are tutorial$"):
        recipes.overrides(folder, name)
