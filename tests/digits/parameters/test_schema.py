import subprocess
import sys
from pathlib import Path

import pytest

from digits.common.parameters_file import ParameterError
from digits.parameters.schema import read, reader, write
from tests.project import ROOT

CROSS_ENTROPY = {"name": "cross_entropy", "weight": 1.0}


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_the_committed_values_are_those_of_the_tutorial() -> None:
    parameters = read(ROOT / "params.yaml")
    train = parameters.train
    assert (train.model, train.solver, train.loss, train.schedule) == (
        "mlp",
        "sgd",
        "cross_entropy",
        "constant",
    )
    assert (train.epochs, train.batch_size, train.seed, train.log_interval) == (5, 64, 42, 100)
    assert (train.device, train.precision) == ("auto", "float32")
    assert parameters.training.model.model_dump() == {"hidden_sizes": [256, 128, 64], "dropout": 0.2}
    assert parameters.training.solver.model_dump() == {
        "lr": 0.01,
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": 1e-6,
    }
    assert parameters.losses["cross_entropy"].model_dump() == {"label_smoothing": 0.0}
    assert parameters.schedules["step"].model_dump() == {"warmup": 0.0, "step_size": 1, "gamma": 0.9}
    assert (parameters.normalize.mean, parameters.normalize.std) == ("auto", "auto")
    assert parameters.data.set == "mnist"
    assert parameters.normalize.validation_size == 0
    assert parameters.augmentation.changes_nothing
    assert parameters.ink.changes_nothing
    assert parameters.outliers.share == 0
    assert (train.keep, train.patience, train.teacher) == ("last", 0, "none")
    assert parameters.evaluate.batch_size == 1000
    assert parameters.evaluate.min_accuracy == 0.93


def test_a_choice_takes_its_own_values() -> None:
    solver = read(ROOT / "params.yaml", {"train.solver": "adamw"}).training.solver
    assert type(solver).__name__ == "AdamW"
    assert solver.model_dump()["lr"] == 0.001


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.epochs", -1, "train.epochs is -1; allowed: greater than 0"),
        ("train.epochs", 0, "train.epochs is 0; allowed: greater than 0"),
        ("train.epochs", 2.5, "train.epochs is 2.5; allowed: integer"),
        ("train.epochs", "5", "train.epochs is '5'; allowed: integer"),
        ("train.epochs", True, "train.epochs is True; allowed: integer"),
        ("train.epochs", None, "train.epochs is None; allowed: integer"),
        ("train.batch_size", 0, "train.batch_size is 0; allowed: greater than 0"),
        (
            "train.batch_size",
            10**30,
            "train.batch_size is 1000000000000000000000000000000; allowed: less than",
        ),
        ("models.mlp.hidden_sizes", [1] * 100_000, "models.mlp.hidden_sizes has more than 1,000 values"),
        ("train", {"loss": [[1] * 600, [2] * 600]}, "train has more than 1,000 values"),
        ("train.seed", -1, "train.seed is -1; allowed: greater than or equal to 0"),
        ("train.device", "gpu", "train.device is 'gpu'; allowed: 'auto', 'cpu' or 'cuda'"),
        ("train.precision", "float16", "train.precision is 'float16'; allowed: 'float32' or 'bfloat16'"),
        (
            "train.solver",
            "adagard",
            "train.solver is 'adagard'; allowed: adadelta, adagrad, adam, ad",
        ),
        ("train.model", "vit", "train.model is 'vit'; allowed: cnn, mlp"),
        ("train.teacher", "../cnn", "train.teacher is '../cnn'; allowed: none, or the name of a file in"),
        ("train.teacher", None, "train.teacher is None; allowed: string"),
        ("train.keep", "best", "train.keep is 'best', but there are no images to choose by; set norm"),
        ("train.patience", 3, "train.patience is 3, but there are no images to choose by; set normalize"),
        ("models.cnn.channels", [], "models.cnn.channels is []; allowed: List should have at least 1 item"),
        ("augmentation.scale", 1.0, "augmentation.scale is 1.0; allowed: less than 1"),
        ("augmentation.shift", -1.0, "augmentation.shift is -1.0; allowed: greater than or equal to 0"),
        ("ink.thickness", 2.0, "ink.thickness is 2.0; allowed: less than or equal to 1"),
        ("outliers.share", 1.0, "outliers.share is 1.0; allowed: less than 1"),
        ("distillation.temperature", 0, "distillation.temperature is 0; allowed: greater than 0"),
        ("train.learning_rate", 1, "train.learning_rate is 1, but there is no such key; allowed here: batch"),
        ("trian", {}, "trian is {}, but there is no such key; allowed here: augmentation, calibrate"),
        ("train", 3, "train is 3; allowed: the keys of Train"),
        ("verify.proven", 1.5, "verify.proven is 1.5; allowed: less than or equal to 1"),
        ("robustness.radii", [4, 2], "robustness.radii is [4, 2]; the radii must rise"),
        ("robustness.radii", [0], "robustness.radii.0 is 0; allowed: greater than or equal to 1"),
        ("verify.proven", "all", "verify.proven is 'all'; allowed: number"),
        ("models.mlp.dropout", 1.5, "models.mlp.dropout is 1.5; allowed: less than 1"),
        ("models.mlp.dropout", 1.0, "models.mlp.dropout is 1.0; allowed: less than 1"),
        ("models.mlp.dropout", float("nan"), "models.mlp.dropout is nan; allowed: a finite number"),
        ("models.mlp.hidden_sizes", [256, 0], "models.mlp.hidden_sizes.1 is 0; allowed: greater than 0"),
        (
            "models.mlp.width",
            3,
            "models.mlp.width is 3, but there is no such key; allowed here: dropout, hid",
        ),
        ("solvers.sgd.lr", 0, "solvers.sgd.lr is 0; allowed: greater than 0"),
        ("solvers.sgd.lr", float("inf"), "solvers.sgd.lr is inf; allowed: a finite number"),
        ("solvers.sgd.nesterov", True, "nesterov needs a momentum above 0"),
        ("solvers.adamw.betas", [0.9], "solvers.adamw.betas is [0.9]; allowed: List should have at least 2"),
        ("solvers.adamw.betas", [0.9, 1.0], "solvers.adamw.betas.1 is 1.0; allowed: less than 1"),
        ("solvers.adamx", {}, "solvers.adamx is {}, but there is no such key; allowed here: adadelta, adagr"),
        ("solvers.rprop.batch_size", 64, "solvers.rprop.batch_size is 64; this solver compares gradients"),
        ("solvers.lbfgs.batch_size", 999, "which small batches blur; allowed: 1000 or more"),
        ("solvers.rprop.etas", [1.2, 0.5], "etas is [1.2, 0.5]; the first must be below 1, the second above"),
        ("solvers.rprop.lr", 1.0, "lr is 1.0; it must be within step_sizes, [1e-06, 0.1]"),
        ("solvers.lbfgs.line_search", "armijo", "'armijo'; allowed: 'strong_wolfe' or 'none'"),
        ("solvers.muon.adamw.lr", 0, "solvers.muon.adamw.lr is 0; allowed: greater than 0"),
        ("losses.cross_entropy.label_smoothing", 2, "allowed: less than or equal to 1"),
        ("train.loss", "mse", "train.loss is 'mse'; allowed: cosine_distance, cross_entropy, eucl"),
        ("train.loss", [], "or a list of terms such as {name: cosine_distance, weight: 1.0}"),
        ("train.loss", 3, "train.loss is 3; allowed: cosine_distance"),
        ("train.loss", [{"name": "cross_entropy"}], "term 1 must have a name and a weight"),
        (
            "train.loss",
            [{"name": "mse", "weight": 1}],
            "the name of term 1 must be one of cosine_distance, cr",
        ),
        (
            "train.loss",
            [CROSS_ENTROPY, CROSS_ENTROPY],
            "term 2 names cross_entropy again; give it one weight",
        ),
        ("train.loss", [{**CROSS_ENTROPY, "weight": 0}], "the weight of term 1 must be a number above 0"),
        ("train.loss", [{**CROSS_ENTROPY, "weight": "1"}], "the weight of term 1 must be a number above 0"),
        ("train.loss", [{**CROSS_ENTROPY, "weight": float("inf")}], "the weight of term 1 must be a number"),
        ("train.loss", [{**CROSS_ENTROPY, "name": ["mse"]}], "the name of term 1 must be one of cosine_d"),
        ("train.loss", [{**CROSS_ENTROPY, "smooth": 1}], "train.loss: smooth of the term cross_entropy is 1"),
        (
            "train.loss",
            [{**CROSS_ENTROPY, "label_smoothing": 2}],
            "label_smoothing of the term cross_entropy is 2: Input should be less than or equal to 1",
        ),
        ("schedules.cosine.floor", 2, "schedules.cosine.floor is 2; allowed: less than or equal to 1"),
        ("schedules.step.gamma", 0, "schedules.step.gamma is 0; allowed: greater than 0"),
        ("normalize.std", 0, "normalize.std is 0; allowed: auto, or a number above 0, to 1"),
        ("normalize.std", "own", "normalize.std is 'own'; allowed: auto, or a number from 0 to 1"),
        ("data.set", "cifar10", "data.set is 'cifar10'; allowed: emnist_digits, emnist_letters, fashion_"),
        ("data.sets", "kmnist", "data.sets is 'kmnist', but there is no such key; allowed here: images, set"),
        ("sets.mnist.mean", 0.1, "sets.mnist.mean is 0.1, but there is no such key"),
        ("sets.folder.test_share", 1, "sets.folder.test_share is 1; allowed: less than 1"),
        ("normalize.validation_size", -1, "allowed: greater than or equal to 0"),
        ("download.mirrors", [], "download.mirrors is []; allowed: List should have at least 1 item"),
        ("download.mirrors", ["ftp://a/"], "download.mirrors.0 is 'ftp://a/'; must begin with https://"),
        ("evaluate.min_accuracy", 93, "evaluate.min_accuracy is 93; allowed: less than or equal to 1"),
        ("export.opset", 10, "export.opset is 10; allowed: greater than or equal to 15"),
        (
            "verify.runtimes",
            ["tpu"],
            "verify.runtimes.0 is 'tpu'; allowed: onnx_reference, onnxruntime_cpu, ",
        ),
        ("train.epochs.more", 1, "train.epochs.more cannot be set: train.epochs holds no keys"),
    ],
)
def test_an_impossible_value_is_one_line_that_says_what_is_allowed(
    params_file: Path, key: str, value: object, message: str
) -> None:
    before = params_file.read_bytes()
    for use in (read, write):
        with pytest.raises(ParameterError) as error:
            use(params_file, {key: value})
        assert message in str(error.value)
        assert str(error.value).startswith(f"{params_file}: ")
        assert str(error.value).count("\n") == 0
    assert params_file.read_bytes() == before


@pytest.mark.parametrize("other", [{"train.schedule": "step"}, {"schedules.constant.warmup": 1.0}])
def test_a_schedule_without_effect_is_refused(other: dict[str, object]) -> None:
    message = "but the solver rprop finds its learning rate by itself; allowed: constant, without warmup"
    with pytest.raises(ParameterError, match=message):
        read(ROOT / "params.yaml", {"train.solver": "rprop", **other})


def test_every_mistake_has_its_line(params_file: Path) -> None:
    with pytest.raises(ParameterError) as error:
        read(params_file, {"train.epochs": 0, "train.batch_size": 0})
    assert [line.split(": ")[1].split()[0] for line in str(error.value).splitlines()] == [
        "train.epochs",
        "train.batch_size",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("train:\n", "train: {\n", "not valid YAML"),
        ("  epochs: 5", "  epochs: 5\n  epochs: 6", "not valid YAML"),
        ("  epochs: 5\n", "", "train.epochs is missing"),
        ("  one_cycle:", "  exponential:", "schedules.exponential is {'warmup': 0.0, 'start'"),
        (
            "  constant:\n    warmup: 0.0\n",
            "",
            "is 'constant', but there is no schedules.constant with its",
        ),
    ],
)
def test_a_broken_file_is_one_line(params_file: Path, old: str, new: str, message: str) -> None:
    change(params_file, old, new)
    with pytest.raises(ParameterError, match=message) as error:
        read(params_file)
    assert str(error.value).count("\n") == 0


@pytest.mark.parametrize(
    "content", [b"", b"- a\n", b"5\n", b"\xff\xfe\x00", b"a: !!python/object:os.system 1"]
)
def test_a_file_that_is_no_params_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ParameterError) as error:
        read(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("key", ["{}", "train.{}", "train.epochs.{}"])
def test_a_long_key_makes_no_long_line(params_file: Path, key: str) -> None:
    with pytest.raises(ParameterError, match="aaa…") as error:
        read(params_file, {key.format("a" * 50_000): 1})
    assert len(str(error.value)) < 2000


def test_what_the_parser_says_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"train: !{'a' * 50_000} 1")
    with pytest.raises(ParameterError, match=r"not valid YAML: .*aaa…") as error:
        read(path)
    assert len(str(error.value)) < 2000


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no such file; run from the project's folder"):
        read(tmp_path / "params.yaml")


def test_a_reader_keeps_nothing_of_earlier_changes(params_file: Path) -> None:
    changed = reader(params_file)
    before = changed({})
    assert changed({"models.mlp.hidden_sizes": [8], "train.epochs": 9}).train.epochs == 9
    assert changed({}) == before == read(params_file)


def test_numbers_are_read_as_dvc_reads_them(params_file: Path) -> None:
    """YAML 1.2: 1e-06 is a number, as DVC writes it after `dvc exp run -S`."""
    change(params_file, "weight_decay: 1.0e-6", "weight_decay: 1e-06")
    assert read(params_file).training.solver.model_dump()["weight_decay"] == 1e-6


def test_write_changes_the_values_and_nothing_else(params_file: Path) -> None:
    before = params_file.read_text()
    params_file.chmod(0o640)
    combined = [{"name": "cross_entropy", "weight": 0.5}]
    write(params_file, {"train.epochs": 7, "models.mlp.hidden_sizes": [32], "train.loss": combined})
    expected = before.replace("epochs: 5", "epochs: 7").replace("[256, 128, 64]", "[32]")
    expected = expected.replace("loss: cross_entropy #", "loss: [{name: cross_entropy, weight: 0.5}] #")
    assert [line.split("#")[0].rstrip() for line in params_file.read_text().splitlines()] == [
        line.split("#")[0].rstrip() for line in expected.splitlines()
    ]
    assert params_file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in params_file.parent.iterdir()] == ["params.yaml"]


def test_a_list_keeps_the_style_of_the_one_it_replaces(params_file: Path) -> None:
    before = params_file.read_text()
    mirrors = read(params_file).download.mirrors
    write(params_file, {"download.mirrors": ["file:///raw"]})
    others = "".join(f"  - {mirror}\n" for mirror in mirrors)
    assert params_file.read_text() == before.replace(others, "  - file:///raw\n")
    write(params_file, {"download.mirrors": mirrors})
    assert params_file.read_text() == before


def test_reading_loads_no_torch() -> None:
    code = "import sys, digits.parameters.schema as p; p.read('params.yaml'); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "False\n"
