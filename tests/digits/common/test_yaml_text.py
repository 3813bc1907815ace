"""YAML from outside: one error for everything, and no bombs."""

import os
from pathlib import Path

import pytest

from digits.common import text
from digits.common.yaml_text import YamlError, parse, read


def test_numbers_and_words_are_those_of_dvc() -> None:
    assert parse("{a: 1e-06, b: off, c: [1, x]}") == {"a": 1e-06, "b": "off", "c": [1, "x"]}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a: 2001-13-41", "month must be in 1..12"),
        ("a: !!int x", "invalid literal"),
        ("a: !!int ", "index out of range"),
        ("? [{a: 1}]", "unhashable"),
        ("a: 1\na: 2", "duplicate key"),
        ("a: [", "flow node"),
        ("[" * 100_000, "nested more than 100 levels deep"),
        ("- " * 100_000, "nested more than 100 levels deep"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
    ],
)
def test_whatever_is_wrong_is_one_line(text: str, cause: str) -> None:
    with pytest.raises(YamlError) as error:
        parse(text)
    assert cause in str(error.value)
    assert "\n" not in str(error.value)


def bomb(depth: int) -> str:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "typ"),
    [
        (bomb(30), "safe"),
        (bomb(30), "rt"),
        ("a: &a [*a]", "safe"),
        ("a: &a {b: *a}", "safe"),
        (f"{bomb(30)}\nb: !!timestamp [*a29]", "safe"),
        (f"{bomb(30)}\nb: !!timestamp [*a29]", "rt"),
        (f"{bomb(30)}\n? {{<<: *a29}}", "safe"),
        (f"[{'x, ' * 100_000}]", "safe"),
    ],
)
def test_aliases_stand_for_a_few_values_only(text: str, typ: str) -> None:
    with pytest.raises(YamlError, match="it stands for more than 100,000 values"):
        parse(text, typ)
    assert len(parse(bomb(4), typ)) == 4


def test_long_values_are_cut_in_messages() -> None:
    assert text.shown([1, "a", {"b": 2.5}]) == "[1, 'a', {'b': 2.5}]"
    assert len(text.shown(["x" * 1000] * 1000)) < 310


def test_of_many_values_without_aliases_it_does_not_blame_them() -> None:
    with pytest.raises(YamlError, match=r"^it stands for more than 100,000 values$"):
        parse("- 1\n" * 100_001)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link in a circle", "not utf-8", "broken", "nothing"])
def test_a_file_that_cannot_be_read_is_one_line_with_its_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "params.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link in a circle":
        path.symlink_to(path)
    elif kind in ("not utf-8", "broken"):
        path.write_bytes(b"a: \xff" if kind == "not utf-8" else b"a: [")
    with pytest.raises(YamlError) as error:
        read(path)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value).splitlines()) == 1
