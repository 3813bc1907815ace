from pathlib import Path

import numpy as np
import pytest
import torch

from digits.data.datasets import (
    DataError,
    Dataset,
    checked_statistics,
    normalize,
    read_raw,
    split,
    to_tensors,
)
from digits.networks.classifier import Classifier
from tests.digits.data.test_idx import idx

RANDOM = np.random.default_rng(1)
IMAGES = RANDOM.integers(0, 256, (200, 28, 28), dtype=np.uint8)
LABELS = RANDOM.integers(0, 10, 200, dtype=np.uint8)


def test_raw_files_are_read_by_their_prefix(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS))
    data = read_raw(tmp_path, "t10k")
    np.testing.assert_array_equal(data.images, IMAGES)
    np.testing.assert_array_equal(data.labels, LABELS)


def test_every_image_needs_a_label(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:-1]))
    with pytest.raises(DataError, match="train: 200 images, but 199 labels"):
        read_raw(tmp_path, "train")


def test_normalized_values_are_those_of_the_onnx_graph() -> None:
    """The exact float32 numbers: x/255, minus the mean, by the standard deviation, in this order."""
    everything = np.resize(np.arange(256, dtype=np.uint8), (1, 28, 28))
    found = normalize(everything, 0.1307, 0.3081)
    assert found.shape == (1, 1, 28, 28)
    assert found.dtype == np.float32
    graph = Classifier(torch.nn.Identity(), 0.1307, 0.3081)
    torch.testing.assert_close(
        torch.from_numpy(found), graph(torch.from_numpy(everything[:, None])), rtol=0, atol=0
    )
    exact = (everything.astype(np.float64) / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(found[:, 0], exact, atol=3e-7)


def test_statistics_are_compared_to_four_decimals() -> None:
    scaled = IMAGES / 255
    mean, std = round(scaled.mean(), 4), round(scaled.std(), 4)
    assert checked_statistics(IMAGES, (mean, std)) == (mean, std)
    assert checked_statistics(IMAGES, (None, None)) == (mean, std)
    with pytest.raises(DataError, match=rf"normalize.mean is 0.1307, .* is {mean:.4f}"):
        checked_statistics(IMAGES, (0.1307, std))
    with pytest.raises(DataError, match=rf"normalize.std is {std + 1e-4:.4f}, .* is {std:.4f}"):
        checked_statistics(IMAGES, (mean, round(std + 1e-4, 4)))
    with pytest.raises(DataError, match="all training images are equally grey"):
        checked_statistics(np.full((3, 28, 28), 7, np.uint8), (None, None))


def test_the_split_is_by_seed_and_loses_nothing() -> None:
    numbered = Dataset(IMAGES, np.arange(200, dtype=np.uint8))
    training, validation = split(numbered, 50, seed=1)
    assert len(validation.labels) == 50
    assert sorted([*training.labels, *validation.labels]) == list(range(200))
    assert training.labels.tolist() == sorted(training.labels), "both keep the order of the files"
    np.testing.assert_array_equal(training.images, IMAGES[training.labels])
    again = split(numbered, 50, seed=1)[1]
    assert again.labels.tolist() == validation.labels.tolist()
    assert split(numbered, 50, seed=2)[1].labels.tolist() != validation.labels.tolist()


def test_no_split_is_everything_and_nothing() -> None:
    training, validation = split(Dataset(IMAGES, LABELS), 0, seed=1)
    np.testing.assert_array_equal(training.images, IMAGES)
    assert len(validation.labels) == 0
    assert to_tensors(validation, 0.1, 0.3)["images"].shape == (0, 1, 28, 28)


def test_a_split_leaves_something_to_train_on() -> None:
    with pytest.raises(DataError, match="validation_size is 200; there are only 200 training images"):
        split(Dataset(IMAGES, LABELS), 200, seed=1)


def test_tensors_say_how_they_were_normalized() -> None:
    tensors = to_tensors(Dataset(IMAGES, LABELS), 0.25, 0.5)
    assert {name: str(tensor.dtype) for name, tensor in tensors.items()} == {
        "images": "float32",
        "labels": "int64",
        "mean": "float64",
        "std": "float64",
    }
    assert tensors["mean"].item() == 0.25
    assert tensors["std"].item() == 0.5
    assert tensors["labels"].tolist() == LABELS.tolist()
