"""What reads bytes or text from outside, each with valid inputs to begin with and words to put into them.

A target may return, or raise a DigitsError of few lines. Anything else is a finding.
"""

import argparse
import atexit
import gzip
import io
import json
import re
import shutil
import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from digits.common.errors import DigitsError
from tests.project import ROOT

if TYPE_CHECKING:
    from digits.training.state import TrainingState

SEEDS = Path(__file__).with_name("seeds")
"""Inputs that were findings once, by target."""

YAML_WORDS = (
    *(b"&a ", b"*a", b"*a, *a", b"<<: ", b"? ", b"- ", b": ", b"[", b"]", b"{", b"}", b"[[[[[[[[", b"| \n"),
    *(
        b"!!",
        b"!!int ",
        b"!!binary ",
        b"!!python/object:",
        b"!!timestamp ",
        b"!!set ",
        b"2001-13-41",
        b"---\n",
    ),
    *(b".inf", b".nan", b"~", b"null", b"true", b"1e999", b"0x", b"0o", b"1_0", b"-1", b"9" * 25, b"...\n"),
    *(b"'", b'"', b"\\", b"\t", b"\n  ", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"%YAML 9.9\n", b"#", b".."),
)
JSON_WORDS = (b'"', b"{", b"}", b"[", b"]", b"null", b"NaN", b"1e999", b"-1", b"[[[[[[[[", b"9" * 9, b'"F64"')
NO_WORDS = (b"\0", b"\xff" * 4)


@dataclass(frozen=True)
class Target:
    """`run` takes one input."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    words: Sequence[bytes] = NO_WORDS

    def finding(self, data: bytes) -> str | None:
        """What is wrong with the way this input ends, if anything is."""
        try:
            self.run(data)
        except DigitsError as error:
            said = str(error)
            if len(said) > 20_000:
                return f"an error of {len(said):,} characters"
            return None if said.strip() else "an error without words"
        except Exception as error:
            return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return None


@cache
def scratch() -> Path:
    """A file to write inputs to, in memory where there is such a folder."""
    fast = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=fast if fast.is_dir() else None, prefix="fuzz."))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "input"


def file(content: bytes) -> Path:
    path = scratch()
    path.write_bytes(content)
    return path


def texts(folder: str) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for path in sorted(ROOT.glob(folder))]


def idx(data: bytes) -> None:
    from digits.data import idx

    for parse in (idx.images, idx.labels):
        try:
            parse(data, "fuzzed")
        except DigitsError:
            continue


def idx_seeds() -> list[bytes]:
    images = struct.pack(">2x2B3I", 8, 3, 2, 28, 28) + bytes(2 * 28 * 28)
    return [images, struct.pack(">2x2BI", 8, 1, 5) + bytes(range(5)), struct.pack(">2x2B", 8, 0) + b"\1"]


def unpacked(data: bytes) -> None:
    """As a mirror unpacks what it was given."""
    from digits.data import mirrors

    def answer(*_: object, **__: object) -> io.BytesIO:
        given = io.BytesIO(data)
        given.headers = {}  # type: ignore[attr-defined]
        return given

    mirror, target = mirrors.WebMirror("http://fuzzed", 1, 1), scratch()
    try:
        with patch("urllib.request.urlopen", answer):
            mirror.fetch("input", 10_000, target.with_name("output"))
    except mirrors.MirrorError as error:
        raise DigitsError(str(error)) from None
    assert target.with_name("output").stat().st_size <= 11_100


def parameters(data: bytes) -> None:
    from digits.parameters import schema

    schema.read(file(data))


@cache
def parameters_seeds() -> list[bytes]:
    """Without comments, to change what is read: a comment that is changed is one still."""
    text = (ROOT / "params.yaml").read_text()
    lines = (re.sub(r"(^|\s+)#.*", "", line) for line in text.splitlines())
    return ["".join(f"{line}\n" for line in lines if line).encode()]


@cache
def params_file() -> Path:
    path = scratch().with_name("params.yaml")
    path.write_bytes(parameters_seeds()[0])
    return path


def recipe(data: bytes) -> None:
    from digits.parameters import recipes

    for name in ("tutorial", "own"):
        scratch().with_name(f"{name}.yaml").write_bytes(data)
    recipes.overrides(scratch().parent, "own")


def sweep(data: bytes) -> None:
    from digits.sweeps import plan

    plan.lay_out(plan.read(file(data)), params_file())


def override(data: bytes) -> None:
    """As `--set KEY=VALUE`, and as parameters of a flow."""

    from flows.__main__ import _override

    try:
        key, value = _override(data.decode(errors="replace"))
    except argparse.ArgumentTypeError as error:
        raise DigitsError(str(error)) from None
    changed_parameters()({key: value})


@cache
def changed_parameters() -> Callable[[Mapping[str, object]], object]:
    from digits.parameters import schema

    return schema.reader(params_file())


def model(data: bytes) -> None:
    from digits.networks import model_file

    model_file.load(file(data))


def origin(data: bytes) -> None:
    """What a model file says of itself, around weights that are right."""
    import safetensors.torch

    try:
        said = data.decode()
    except UnicodeDecodeError:
        return
    weights = safetensors.torch.load(model_seeds()[0])
    model(safetensors.torch.save(weights, {"digits": said}))


def origin_seeds() -> list[bytes]:
    header = model_seeds()[0]
    length = int.from_bytes(header[:8], "little")
    return [json.loads(header[8 : 8 + length])["__metadata__"]["digits"].encode()]


@cache
def model_seeds() -> list[bytes]:
    import torch

    from digits.networks import model_file
    from digits.networks.perceptron import Perceptron

    torch.manual_seed(1)
    values = {"train": {"model": "mlp"}, "models": {"mlp": {"hidden_sizes": [2], "dropout": 0.0}}}
    model_file.save(model_file.TrainedModel(Perceptron([2], 0.0), 0.1, 0.3, values, "0" * 64), scratch())
    return [scratch().read_bytes()]


def onnx(data: bytes) -> None:
    from digits.onnx import export

    export.check(export.read(data))


@cache
def onnx_seeds() -> list[bytes]:
    from digits.networks.classifier import Classifier
    from digits.networks.perceptron import Perceptron
    from digits.onnx import export

    return [export.to_onnx(Classifier(Perceptron([2], 0.0), 0.1, 0.3), 20, {}).SerializeToString()]


def checkpoint(data: bytes) -> None:
    """A state of a training: taken where it is whole, or not at all."""
    state = training_state()
    state.from_bytes(data, {"of": "a training"})


def checkpoint_seeds() -> list[bytes]:
    return [training_state().to_bytes({"of": "a training"})]


def training_state() -> "TrainingState":
    import torch

    from digits.training.state import Interval, TrainingState

    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return TrainingState(net, optimizer, {"batches": torch.Generator()}, [Interval(1, 2, 2, 0.1, 0.5, 0.9)])


def lock(data: bytes) -> None:
    """A dvc.lock after a kill."""
    from prefect_dvc import lock_file

    before = lock_seeds()[0]
    if not lock_file.is_valid(data) or lock_file.may_be_cut(data, before, 2):
        raise DigitsError("dvc.lock is mended")


@cache
def lock_seeds() -> list[bytes]:
    """Of two short stages: the whole takes DVC half a second to read."""
    hashed = "    - path: {}\n      hash: md5\n      md5: 0123456789abcdef0123456789abcdef\n      size: 48\n"
    parameters = "    params:\n      params.yaml:\n        data.set: mnist\n        train.lr: 0.01\n"
    stages = (
        f"  {name}:\n    cmd: python -m stages.{name}\n    deps:\n{hashed.format(name)}"
        f"{parameters}    outs:\n{hashed.format(f'models/{name}')}"
        for name in ("export", "train")
    )
    return [f"schema: '2.0'\nstages:\n{''.join(stages)}".encode()]


def trial(data: bytes) -> None:
    """What is kept of a trial of a sweep."""
    from digits.sweeps import results

    found = results.load(file(data))
    if found:
        assert found["status"] in results.FINAL
        assert found["kept"] is None or found["curve"][found["kept"] - 1]


ROW = {"epoch": 1, "loss": 0.5, "accuracy": 0.8, "validation_loss": 0.4, "validation_accuracy": 0.9}
TRIALS = [
    json.dumps({"status": "completed", "reason": "", "curve": [ROW, ROW], "kept": 2}).encode(),
    json.dumps({"status": "diverged", "reason": "the loss is nan", "curve": [], "kept": None}).encode(),
]
ONNX_WORDS = (b"If", b"Loop", b"Dropout", b"location", b"/etc/passwd", b"\x70\x01", b"batch", b"image")
SWEEP_WORDS = (*YAML_WORDS, b"points: 3", b"search: random", b"low: 1")
PACKED = [gzip.compress(bytes(9000), mtime=0), b"plain", gzip.compress(b"", mtime=0)]
OVERRIDES = [b"train.epochs=1", b"train.loss=[{name: cross_entropy, weight: 1}]"]
TARGETS = {
    "idx": Target(idx, idx_seeds),
    "gzip": Target(unpacked, lambda: PACKED),
    "parameters": Target(parameters, parameters_seeds, YAML_WORDS),
    "recipe": Target(recipe, texts("recipes/*.yaml"), YAML_WORDS),
    "sweep": Target(sweep, texts("sweeps/*.yaml"), SWEEP_WORDS),
    "override": Target(override, lambda: OVERRIDES, YAML_WORDS),
    "model": Target(model, model_seeds, JSON_WORDS),
    "origin": Target(origin, origin_seeds, JSON_WORDS),
    "onnx": Target(onnx, onnx_seeds, ONNX_WORDS),
    "checkpoint": Target(checkpoint, checkpoint_seeds, JSON_WORDS),
    "lock": Target(lock, lock_seeds, YAML_WORDS),
    "trial": Target(trial, lambda: TRIALS, JSON_WORDS),
}


def kept(name: str) -> list[Path]:
    return sorted((SEEDS / name).glob("*"))


def describe(data: bytes) -> str:
    return json.dumps(data.decode("latin-1"))[:300]
