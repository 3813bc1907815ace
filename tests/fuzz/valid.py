"""Valid inputs, for fuzzing to begin with."""

import gzip
import io
import json
import re
import struct
import tarfile
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.project import ROOT

if TYPE_CHECKING:
    from PIL.Image import Image

    from digits.training.state import TrainingState


def texts(folder: str) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for path in sorted(ROOT.glob(folder))]


def idx() -> list[bytes]:
    images = struct.pack(">2x2B3I", 8, 3, 2, 28, 28) + bytes(2 * 28 * 28)
    return [images, struct.pack(">2x2BI", 8, 1, 5) + bytes(range(5)), struct.pack(">2x2B", 8, 0) + b"\1"]


@cache
def images() -> list[bytes]:
    """PNG and JPEG of all modes, with what a camera, or a program, writes beside the picture."""
    from PIL import ExifTags, Image, ImageCms, PngImagePlugin

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.ImageDescription] = 6, "a digit"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ExifVersion: b"0220"}
    said = PngImagePlugin.PngInfo()
    said.add_text("key", "packed " * 9, zip=True)
    said.add_itxt("key", "text")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = Image.linear_gradient("L").resize((12, 8))
    pictures = [grey.convert(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")]
    pictures.append(Image.frombytes("I;16", (12, 8), grey.resize((24, 8)).tobytes()))
    found = []
    for picture in pictures:
        transparent = {"transparency": 0} if picture.mode in ("L", "P") else {}
        found.append(_saved(picture, "PNG", pnginfo=said, exif=exif, **transparent))
    found.append(_saved(pictures[4], "PNG", icc_profile=profile))
    found.append(_saved(grey, "PNG", save_all=True, append_images=[grey.rotate(9)]))
    for picture in (grey, pictures[4], grey.convert("CMYK")):
        found.append(_saved(picture, "JPEG", exif=exif, comment=b"of a digit"))
    found.append(_saved(pictures[4], "JPEG", progressive=True, icc_profile=profile))
    return found


def _saved(picture: "Image", kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return file.getvalue()


@cache
def archives() -> list[bytes]:
    """As npm packs them, and as GNU's tar does with long names."""
    found = []
    for form, name in ((tarfile.PAX_FORMAT, "ü" * 80), (tarfile.GNU_FORMAT, "long" * 40)):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as archive:
            for path, content in ((name, b"{}"), ("package/input.gz", gzip.compress(b"5" * 99, mtime=0))):
                member = tarfile.TarInfo(path)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        found.append(file.getvalue()[:4096])
    return found


@cache
def parameters() -> list[bytes]:
    """Without comments, to change what is read: a comment that is changed is one still."""
    text = (ROOT / "params.yaml").read_text()
    lines = (re.sub(r"(^|\s+)#.*", "", line) for line in text.splitlines())
    return ["".join(f"{line}\n" for line in lines if line).encode()]


def origin() -> list[bytes]:
    header = model()[0]
    length = int.from_bytes(header[:8], "little")
    return [json.loads(header[8 : 8 + length])["__metadata__"]["digits"].encode()]


@cache
def model() -> list[bytes]:
    import torch

    from digits.networks import model_file
    from digits.networks.perceptron import Perceptron

    torch.manual_seed(1)
    values = {"train": {"model": "mlp"}, "models": {"mlp": {"hidden_sizes": [2], "dropout": 0.0}}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model_file.save(model_file.TrainedModel(Perceptron([2], 0.0), 0.1, 0.3, values, "0" * 64), path)
        return [path.read_bytes()]


@cache
def onnx() -> list[bytes]:
    from digits.networks.classifier import Classifier
    from digits.networks.perceptron import Perceptron
    from digits.onnx import export

    return [export.to_onnx(Classifier(Perceptron([2], 0.0), 0.1, 0.3), 20, {}).SerializeToString()]


def checkpoint() -> list[bytes]:
    return [training_state().to_bytes({"of": "a training"})]


def training_state() -> "TrainingState":
    import torch

    from digits.training.state import Interval, TrainingState

    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return TrainingState(net, optimizer, {"batches": torch.Generator()}, [Interval(1, 2, 2, 0.1, 0.5, 0.9)])


@cache
def lock() -> list[bytes]:
    """Of two short stages: the whole takes DVC half a second to read."""
    hashed = "    - path: {}\n      hash: md5\n      md5: 0123456789abcdef0123456789abcdef\n      size: 48\n"
    values = "    params:\n      params.yaml:\n        data.set: mnist\n        train.lr: 0.01\n"
    stages = (
        f"  {name}:\n    cmd: python -m stages.{name}\n    deps:\n{hashed.format(name)}"
        f"{values}    outs:\n{hashed.format(f'models/{name}')}"
        for name in ("export", "train")
    )
    return [f"schema: '2.0'\nstages:\n{''.join(stages)}".encode()]


ROW = {"epoch": 1, "loss": 0.5, "accuracy": 0.8, "validation_loss": 0.4, "validation_accuracy": 0.9}
TRIALS = [
    json.dumps({"status": "completed", "reason": "", "curve": [ROW, ROW], "kept": 2}).encode(),
    json.dumps({"status": "diverged", "reason": "the loss is nan", "curve": [], "kept": None}).encode(),
]
PACKED = [gzip.compress(bytes(9000), mtime=0), b"plain", gzip.compress(b"", mtime=0)]
REQUESTS = [
    b'{"overrides": {"train.epochs": 7, "train.loss": [{"name": "cross_entropy", "weight": 1.0}]}}',
    b'{"recipe": "fast-mlp", "overrides": {"models.mlp.hidden_sizes": [5, 5], "data.set": "folder"}}',
    b'{"recipe": null, "overrides": {"train.solver": "adam", "solvers.adam.betas": [0.9, 0.999]}}',
]
OVERRIDES = [b"train.epochs=1", b"train.loss=[{name: cross_entropy, weight: 1}]"]
