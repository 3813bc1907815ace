"""The larger data set is a whole file of the normalized format, with every original image in it."""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from benchmarks import more_data
from digits.training.streaming import Stream


def test_originals_come_first_and_changed_ones_after(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    images = np.full((7, 1, 28, 28), -0.4242, np.float32)
    images[:, :, 4:24, 4:24] = generator.random((7, 1, 20, 20), np.float32)
    labels = np.arange(7)
    source = tmp_path / "source"
    save_file({"images": images, "labels": labels, "mean": np.array([0.1]), "std": np.array([0.3])}, source)
    for name in ("target", "again"):
        more_data.write(25, source, tmp_path / name)
    assert (tmp_path / "target").read_bytes() == (tmp_path / "again").read_bytes()
    written = load_file(tmp_path / "target")
    assert (written["images"][:7] == images).all()
    assert written["labels"].tolist() == [row % 7 for row in range(25)]
    assert (written["mean"].item(), written["std"].item()) == (0.1, 0.3)
    once, twice = written["images"][7:14], written["images"][14:21]
    for row in range(7):
        assert abs(once[row] - images[row]).max() > 0.1
        assert abs(twice[row] - once[row]).max() > 0.1, "changed anew"
    assert once.min() > -0.43, "paper comes in"
    assert once.max() <= images.max() + 1e-6
    assert len(Stream(tmp_path / "target", torch.device("cpu"))) == 25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "source", "target"]
