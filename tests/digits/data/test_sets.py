"""The sets to choose from: what torchvision knows of them, too, and small files in the same formats."""

import gzip
import hashlib
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import EMNIST, KMNIST, MNIST, FashionMNIST

from digits.common.about import MixedUpError
from digits.common.choices import discover
from digits.data import idx, raw
from digits.data.data_set import DataSet, Published, Wanted
from digits.data.datasets import file_names
from digits.data.download import DownloadError, RawFile
from digits.parameters import schema
from digits.sets.emnist_letters import EmnistLetters
from digits.sets.fashion_mnist import FashionMnist
from digits.sets.kmnist import Kmnist
from digits.sets.mnist import Mnist
from tests.project import ROOT

RANDOM = np.random.default_rng(1)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def wanted(folder: Path, **overrides: Any) -> Wanted:
    """What a params.yaml with these values asks for; nobody is asked over the network."""
    path = folder / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    schema.write(
        path, {"download.mirrors": [(folder / "mirror").as_uri()], "download.attempts": 1} | overrides
    )
    return Wanted.read(path)


def small(classes: int, count: int = 40, first: int = 0) -> dict[str, bytes]:
    """Four IDX files, by their names."""
    found: dict[str, bytes] = {}
    for prefix in (raw.TRAIN, raw.TEST):
        images = RANDOM.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.resize(np.arange(classes, dtype=np.uint8), count) + first
        found |= dict(zip(file_names(prefix), (idx.write(images), idx.write(labels)), strict=True))
    return found


def published(files: dict[str, bytes]) -> tuple[RawFile, ...]:
    return tuple(RawFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items())


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


@pytest.mark.parametrize(("ours", "theirs"), [(Mnist, MNIST), (FashionMnist, FashionMNIST), (Kmnist, KMNIST)])
def test_addresses_and_classes_are_those_that_torchvision_knows(
    ours: type[Published], theirs: type[MNIST]
) -> None:
    assert set(theirs.mirrors) <= set(ours.mirrors)
    assert [file.name.removesuffix(".gz") for file in ours.files] == [
        name.removesuffix(".gz") for name, _ in theirs.resources
    ]
    assert len(ours.classes) == 10
    if theirs is not MNIST:  # which has "0 - zero"
        assert list(ours.classes) == theirs.classes


def test_emnist_is_as_torchvision_knows_it() -> None:
    address, _, name = EMNIST.url.rpartition("/")
    assert f"{address}/" in EmnistLetters.mirrors
    assert EmnistLetters.files[0].name == name
    assert list(EmnistLetters.classes) == EMNIST.classes_split_dict["letters"][1:]


@pytest.mark.parametrize("name", discover("digits.sets", DataSet))
def test_each_set_has_its_values_in_params_yaml(tmp_path: Path, name: str) -> None:
    assert isinstance(wanted(tmp_path, **{"data.set": name}).set, discover("digits.sets", DataSet)[name])


def test_a_set_tells_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small(classes=10)
    monkeypatch.setattr(Mnist, "files", published(files))
    put(tmp_path / "mirror", files)
    asked, lines = wanted(tmp_path), list[str]()
    about = asked.set.fetch(asked, tmp_path / "raw", tmp_path / "kept", lines.append)
    assert lines[0] == "data.set is mnist: MNIST"
    raw.write_about(tmp_path / "raw", about)
    assert raw.read_about(tmp_path / "raw", "mnist") == about
    assert about.images == {"train": 40, "t10k": 40}
    assert about.sha256 == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert len(raw.read(tmp_path / "raw", raw.TEST, about).labels) == 40
    with pytest.raises(
        MixedUpError, match=r"^data\.set is 'kmnist', but .* holds mnist \(MNIST\); `dvc repro`"
    ):
        raw.read_about(tmp_path / "raw", "kmnist")
    shutil.copy(tmp_path / "raw/t10k-labels-idx1-ubyte", tmp_path / "raw/train-labels-idx1-ubyte")
    put(tmp_path / "raw", {"train-images-idx3-ubyte": small(10)["train-images-idx3-ubyte"]})
    with pytest.raises(MixedUpError, match="train-images-idx3-ubyte is not the file of MNIST that"):
        raw.read(tmp_path / "raw", raw.TRAIN, about)


def test_files_of_another_set_are_refused_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, others = small(classes=10), small(classes=10)
    monkeypatch.setattr(Mnist, "files", published(files))
    put(tmp_path / "mirror", others)
    asked, lines = wanted(tmp_path), list[str]()
    with pytest.raises(DownloadError) as error:
        asked.set.fetch(asked, tmp_path / "raw", tmp_path / "kept")
    assert (
        str(error.value)
        .splitlines()[-1]
        .startswith("data.set is 'mnist', of which the published files alone")
    )
    put(tmp_path / "raw", files)
    asked.set.fetch(asked, tmp_path / "raw", tmp_path / "kept", lines.append)
    assert "it is not used, as data.set is 'mnist'" in lines[1], "also where what was asked for is here"


def test_files_with_a_dot_in_their_names_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small(classes=10)
    monkeypatch.setattr(Mnist, "files", published(files))
    dotted = {name.replace("-idx", ".idx"): data for name, data in files.items()}
    name, data = dotted.popitem()
    put(tmp_path / "mirror", dotted | {f"{name}.gz": gzip.compress(data)})
    asked = wanted(tmp_path)
    asked.set.fetch(asked, tmp_path / "raw", tmp_path / "kept")
    assert {name: (tmp_path / "raw" / name).read_bytes() for name in files} == files


def test_packed_files_are_known_by_the_hash_of_the_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(classes=10)
    packed = {f"{name}.gz": gzip.compress(data) for name, data in files.items()}
    monkeypatch.setattr(Kmnist, "files", published(packed))
    put(tmp_path / "mirror", packed)
    asked = wanted(tmp_path, **{"data.set": "kmnist"})
    about = asked.set.fetch(asked, tmp_path / "raw", tmp_path / "kept")
    assert about.classes[0] == "o"
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == files
    shutil.rmtree(tmp_path / "raw")
    shutil.rmtree(tmp_path / "mirror")
    asked.set.fetch(asked, tmp_path / "raw", tmp_path / "kept")
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == files
    put(tmp_path / "mirror", {name: gzip.compress(data, 1) for name, data in files.items()})
    shutil.rmtree(tmp_path / "kept")
    with pytest.raises(DownloadError, match=r"no mirror gave train-images-idx3-ubyte\.gz"):
        asked.set.fetch(asked, tmp_path / "raw", tmp_path / "kept")


def test_letters_stand_upright_and_are_counted_from_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small(classes=26, first=1)
    (tmp_path / "mirror").mkdir()
    path = tmp_path / "mirror/gzip.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            part = name.replace("t10k", "test")
            archive.writestr(f"gzip/emnist-letters-{part}.gz", gzip.compress(data))
    monkeypatch.setattr(EmnistLetters, "files", published({"gzip.zip": path.read_bytes()}))
    asked = wanted(tmp_path, **{"data.set": "emnist_letters"})
    about = asked.set.fetch(asked, tmp_path / "raw", tmp_path / "kept")
    found = raw.read(tmp_path / "raw", raw.TEST, about)
    lying = idx.images(files["t10k-images-idx3-ubyte"], "x")
    assert np.array_equal(found.images, lying.transpose(0, 2, 1)), "as torchvision's users transpose them"
    assert [about.classes[label] for label in found.labels[:3]] == ["a", "b", "c"]


def test_fashion_mnist_is_what_debian_has(tmp_path: Path) -> None:
    if not DEBIAN.is_dir():
        pytest.skip("the package dataset-fashion-mnist is not installed")
    asked = wanted(tmp_path, **{"data.set": "fashion_mnist", "download.mirrors": ["published"]})
    about = asked.set.fetch(asked, tmp_path / "raw", tmp_path / "kept")
    training = raw.read(tmp_path / "raw", raw.TRAIN, about)
    mean, std = schema.read(tmp_path / "params.yaml").normalize.statistics(training.images, about)
    assert (mean, std) == (0.2860, 0.3530)
    assert np.bincount(training.labels).tolist() == [6000] * 10
