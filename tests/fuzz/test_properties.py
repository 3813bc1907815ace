"""What holds for every input, as hypothesis makes them up anew in every run."""

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dvc.utils.serialize import dumps_yaml  # type: ignore[import-untyped]
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from digits.common import wording
from digits.common.parameters_file import ParameterError
from digits.common.text import LONGEST, shown
from digits.common.yaml_text import YamlError, parse
from digits.data import idx
from digits.page.preparation import SIDE, prepare
from digits.parameters import schema
from digits.sweeps import results
from prefect_dvc import lock_file
from tests.fuzz.targets import changed_parameters
from tests.fuzz.valid import parameters

# A machine may be slow, and a folder may serve several inputs.
MANY = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True)
PARAMETERS = parse(parameters()[0].decode())
SOLVERS = sorted(PARAMETERS["solvers"])


def keys(tree: object, prefix: str = "") -> list[str]:
    """All dotted keys of a tree."""
    if not isinstance(tree, dict):
        return []
    return [
        key for name, below in tree.items() for key in (f"{prefix}{name}", *keys(below, f"{prefix}{name}."))
    ]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=20,
)
"""What JSON and YAML can say."""
any_key = (
    st.sampled_from(keys(PARAMETERS)) | st.text() | st.lists(st.text(string.ascii_lowercase)).map(".".join)
)
ink = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), fill=st.just(0))


def error_of(function: Callable[[Any], object], given: Any, kind: type[Exception]) -> list[str]:
    """The lines of the error of this kind that a function ends with, if it does."""
    try:
        function(given)
    except kind as error:
        return str(error).split("\n")
    return []


@MANY
@given(st.dictionaries(any_key, anything, max_size=3))
def test_any_change_of_parameters_is_taken_or_a_few_lines(changes: dict[str, Any]) -> None:
    lines = error_of(changed_parameters(), changes, ParameterError)
    assert len(lines) <= wording.MOST + 1
    assert all("params.yaml: " in line and line.isprintable() for line in lines)
    assert sum(map(len, lines)) < 20_000


@settings(MANY, max_examples=30)  # keeping the comments takes a while
@given(
    st.floats(1e-300, 1e300),
    st.integers(1, 10**9),
    st.lists(st.integers(1, 10_000), min_size=1),
    st.sampled_from(SOLVERS),
)
def test_what_is_written_into_the_file_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rate: float, epochs: int, sizes: list[int], solver: str
) -> None:
    path = tmp_path_factory.mktemp("written") / "params.yaml"
    path.write_bytes(parameters()[0])
    changes = {"solvers.adam.lr": rate, "train.epochs": epochs, "train.solver": solver}
    schema.write(path, {**changes, "models.mlp.hidden_sizes": sizes})
    found = schema.read(path)
    assert found.solvers["adam"].model_dump()["lr"] == rate
    assert (found.train.epochs, found.train.solver) == (epochs, solver)
    assert found.models["mlp"].model_dump()["hidden_sizes"] == sizes
    before = path.read_bytes()
    assert schema.write(path, changes) == {}
    assert path.read_bytes() == before


@MANY
@given(st.text())
def test_any_text_is_yaml_or_one_line(text: str) -> None:
    assert all(line.isprintable() for line in error_of(parse, text, YamlError))


@MANY
@given(anything)
def test_what_json_says_is_what_is_read(content: Any) -> None:
    """YAML has JSON within it, but for what is no number there, nor to be seen."""
    text = json.dumps(content, ensure_ascii=False)
    assume("NaN" not in text and "Infinity" not in text and text.isprintable() and len(text) < 1000)
    assert json.dumps(parse(text), sort_keys=True) == json.dumps(content, sort_keys=True)


@MANY
@given(anything)
def test_a_value_is_shown_in_one_short_line(value: Any) -> None:
    assert len(shown(value)) <= LONGEST + 1
    assert shown(value).isprintable()


@MANY
@given(arrays(np.uint8, array_shapes(max_dims=4, max_side=6)), st.binary(max_size=3), st.integers(1, 40))
def test_an_idx_file_is_read_as_written_and_no_other(
    array: NDArray[np.uint8], more: bytes, fewer: int
) -> None:
    content = idx.write(array)
    assert np.array_equal(idx.parse(content, "made"), array)
    for other in (content[:-fewer], *([content + more] if more else [])):
        with pytest.raises(idx.IdxError):
            idx.parse(other, "made")


@MANY
@given(ink)
def test_ink_of_any_form_becomes_an_image(drawing: NDArray[np.uint8]) -> None:
    image = prepare(drawing)
    assert (image is None) == (not drawing.any())
    if image is not None:
        assert image.shape == (SIDE, SIDE)
        assert image.any() or drawing.max() < 8, "what is fainter may vanish where pixels become one"


@MANY
@given(ink, st.tuples(*[st.integers(0, 30)] * 4))
def test_where_on_the_paper_it_is_drawn_does_not_matter(
    drawing: NDArray[np.uint8], margins: tuple[int, int, int, int]
) -> None:
    top, bottom, left, right = margins
    moved, image = prepare(np.pad(drawing, ((top, bottom), (left, right)))), prepare(drawing)
    assert np.array_equal(moved, image) if moved is not None and image is not None else moved is image


@MANY
@given(st.binary() | anything.map(lambda content: json.dumps(content).encode()))
def test_what_is_no_result_of_a_trial_is_none(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path: Path = tmp_path_factory.mktemp("trial") / "result.json"
    path.write_bytes(content)
    assert results.load(path) is None


hashes = st.text("0123456789abcdef", min_size=32, max_size=32)
stages = st.dictionaries(st.text(string.ascii_lowercase + "-@", min_size=1), hashes, max_size=5)


def lock_of(entries: dict[str, str]) -> bytes:
    made = {
        name: {"cmd": f"python -m {name}", "outs": [{"path": name, "hash": "md5", "md5": digest, "size": 4}]}
        for name, digest in entries.items()
    }
    return str(dumps_yaml({"schema": "2.0", "stages": made})).encode()


@MANY
@given(stages, stages.filter(bool), st.data())
def test_no_beginning_of_a_lock_file_passes_for_whole(
    entries: dict[str, str], changes: dict[str, str], data: st.DataObject
) -> None:
    """Whatever one stage changes, and wherever DVC is killed while it writes that."""
    name, digest = next(iter(changes.items()))
    before = lock_of(entries) if entries else b""
    after = lock_of({**entries, name: digest})
    end = data.draw(st.integers(0, len(after) - 1))
    beginning = after[:end]
    assume(beginning != before)  # then nothing is lost
    assert not lock_file.is_valid(beginning) or lock_file.may_be_cut(beginning, before)
