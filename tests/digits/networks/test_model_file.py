import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from digits.common.about import About
from digits.models.mlp import FeedForwardNet
from digits.networks import model_file
from digits.networks.model_file import ModelFileError, TrainedModel
from tests.digits.conftest import ReadWith


@pytest.fixture
def model(read_with: ReadWith) -> TrainedModel:
    parameters = read_with({"models.mlp.hidden_sizes": [6]})
    return TrainedModel(parameters.model.build(), 0.1307, 0.3081, parameters.origin, "ab" * 32)


def test_a_model_comes_back_as_it_was(model: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model_file.save(model, path)
    loaded = model_file.load(path)
    assert loaded[1:] == model[1:]
    for name, weight in model.net.state_dict().items():
        assert torch.equal(loaded.net.state_dict()[name], weight)
    assert not loaded.net.training


def test_a_model_keeps_the_names_of_its_classes(model: TrainedModel, tmp_path: Path) -> None:
    about = About.unnamed().model_copy(update={"set": "shapes", "classes": ["circle", "cross", "triangle"]})
    parameters = FeedForwardNet.model_validate(model.parameters["models"]["mlp"])
    model_file.save(model._replace(net=parameters.build(3), about=about), tmp_path / "three")
    assert model_file.load(tmp_path / "three").about == about
    model_file.save(model._replace(about=about), tmp_path / "ten")
    with pytest.raises(ModelFileError, match="its weights are not those of the network"):
        model_file.load(tmp_path / "ten")


def test_a_model_of_before_classes_had_names_knows_digits(model: TrainedModel, tmp_path: Path) -> None:
    model_file.save(model, tmp_path / "new")
    with safetensors.safe_open(tmp_path / "new", framework="pt") as file:
        origin = json.loads(file.metadata()["digits"])
    del origin["about"]
    weights = model.net.state_dict()
    safetensors.torch.save_file(weights, tmp_path / "old", {"digits": json.dumps(origin)})
    assert model_file.load(tmp_path / "old").about.classes == [*"0123456789"]


def test_the_same_model_is_the_same_file(model: TrainedModel, tmp_path: Path) -> None:
    model_file.save(model, tmp_path / "one")
    model_file.save(model_file.load(tmp_path / "one"), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_only_what_was_chosen_is_named(model: TrainedModel) -> None:
    sections = {"train", "models", "solvers", "losses", "schedules", "augmentation"}
    assert set(model.parameters) == sections
    assert list(model.parameters["solvers"]) == ["sgd"]
    assert model.parameters["models"] == {"mlp": {"hidden_sizes": [6], "dropout": 0.2}}


def test_the_classifier_takes_raw_images(model: TrainedModel) -> None:
    raw = torch.randint(0, 256, (3, 1, 28, 28), dtype=torch.uint8)
    normalized = (raw.double() / 255 - 0.1307) / 0.3081
    expected = model.net.eval()(normalized.float())
    torch.testing.assert_close(model.classifier(raw), expected, rtol=0, atol=1e-5)
    assert not model.classifier.training


def test_what_is_no_model_is_refused(model: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model_file.save(model, path)
    whole = path.read_bytes()
    other = safetensors.torch.save({"weight": torch.ones(2)}, {"digits": "{}"})
    for content in (b"", b"nonsense", whole[:-10], whole.replace(b"hidden1", b"hidden9"), other):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"is not a model of this project .* run the train stage"):
            model_file.load(path)


@pytest.mark.parametrize(
    ("value", "changed"),
    [
        ('"hidden_sizes": [6]', '"hidden_sizes": [1000000, 1000000]'),  # 4 TB
        ('"mean": 0.1307', '"mean": "a"'),
        ('"std": 0.3081', '"std": NaN'),
        ('"mean": 0.1307', '"average": 0.1307'),
        ('"parameters": {', '"parameters": [], "other": {'),
    ],
)
def test_what_a_model_says_of_itself_is_not_believed(
    model: TrainedModel, tmp_path: Path, value: str, changed: str
) -> None:
    path = tmp_path / "model.safetensors"
    model_file.save(model, path)
    with safetensors.safe_open(path, framework="pt") as file:
        said = file.metadata()["digits"]
    assert value in said
    weights = safetensors.torch.load_file(path)
    path.write_bytes(safetensors.torch.save(weights, {"digits": said.replace(value, changed)}))
    with pytest.raises(ModelFileError, match=r"is not a model of this project .* run the train stage"):
        model_file.load(path)
