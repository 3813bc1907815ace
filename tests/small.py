"""The whole project on a tenth of the real MNIST: every stage as it is, in a fraction of the time."""

import hashlib
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML

from digits.data.datasets import read_raw, statistics
from digits.sets.mnist import Mnist
from tests.project import Project

SIZES = {"train": 6000, "t10k": 1000}


def make_small(project: Project, raw: Path) -> None:
    """Let `project` download the first images of `raw` alone, from a folder beside it, and train a while."""
    mirror = project.folder.with_name("mirror")
    mirror.mkdir()
    for prefix, size in SIZES.items():
        data = read_raw(raw, prefix)
        write_idx(mirror / f"{prefix}-images-idx3-ubyte", data.images[:size])
        write_idx(mirror / f"{prefix}-labels-idx1-ubyte", data.labels[:size])
        if prefix == "train":
            mean, std = statistics(data.images[:size])
    for original in Mnist.files:
        content = (mirror / original.name).read_bytes()
        project.replace("digits/sets/mnist.py", f"{original.size:_}", f"{len(content):_}")
        project.replace("digits/sets/mnist.py", original.sha256, hashlib.sha256(content).hexdigest())
    yaml = YAML()
    parameters = yaml.load(project.text("params.yaml"))
    parameters["download"]["mirrors"] = [f"file://{mirror}"]
    parameters["normalize"] |= {"mean": round(mean, 4), "std": round(std, 4)}
    parameters["train"] |= {"epochs": 3, "log_interval": 20}
    parameters["evaluate"]["min_accuracy"] = 0.2
    parameters["verify"] |= {"batch_sizes": [64], "near_ties": 10}
    with (project.folder / "params.yaml").open("w") as file:
        yaml.dump(parameters, file)


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write an array as MNIST's files have it."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.tobytes())
