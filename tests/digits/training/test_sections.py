"""What a training takes of params.yaml: its own values and those of what it has chosen."""

from pathlib import Path

import pytest

from digits.common.parameters_file import ParameterError
from digits.training.sections import TrainingValues
from tests.project import ROOT

PARAMS = ROOT / "params.yaml"


def names(**overrides: object) -> set[str]:
    chosen = TrainingValues.read(PARAMS, {f"train.{key}": value for key, value in overrides.items()})
    return {path.relative_to(ROOT / "digits").as_posix() for path in chosen.code}


def test_values_of_what_is_not_chosen_are_not_looked_at() -> None:
    values = TrainingValues.read(PARAMS, {"solvers.adamw.lr": "nonsense", "evaluate": None})
    assert values.solver.model_dump()["lr"] == 0.01


def test_a_choice_without_values_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text().replace("  sgd:\n", "  else:\n"))
    with pytest.raises(ParameterError) as caught:
        TrainingValues.read(path)
    assert str(caught.value) == (
        f"{path}: train.solver is 'sgd', but there is no solvers.sgd with its values"
    )


def test_a_wrong_value_names_the_whole_key() -> None:
    with pytest.raises(ParameterError, match=r"yaml: solvers\.sgd\.lr is -1; allowed: greater than 0"):
        TrainingValues.read(PARAMS, {"solvers.sgd.lr": -1})


def test_the_code_of_a_training_is_that_of_its_rooms_and_choices() -> None:
    code = names()
    assert {"training/loop.py", "networks/perceptron.py", "common/files.py", "solvers/sgd.py"} <= code
    assert {path.split("/")[0] for path in code} == {
        *("common", "networks", "training", "models", "solvers", "schedules", "losses")
    }
    assert not {"solvers/adamw.py", "losses/cosine_distance.py", "evaluation/pictures.py"} & code


def test_another_choice_is_other_code() -> None:
    assert names(solver="adamw") - names() == {"solvers/adamw.py"}
    terms = [{"name": name, "weight": 1.0} for name in ("cross_entropy", "cosine_distance")]
    assert names(loss=terms) - names() == {"losses/cosine_distance.py"}
