"""params.yaml as a file: read, changed at dotted keys, written with its comments."""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedSeq

from digits.common.errors import DigitsError
from digits.common.files import replacing
from digits.common.text import cut, shown
from digits.common.yaml_text import YamlError, read, yaml

MOST = 1000
"""Values of one key: what is written must not be too much to be read again."""

Path_ = str | os.PathLike[str]


class ParameterError(DigitsError, ValueError):
    """params.yaml, or a change of it, is not valid; `str` has one line per mistake."""


def load(path: Path_, overrides: Mapping[str, object], to_save: bool = False) -> MutableMapping[str, Any]:
    """The file's tree, with other values at the dotted keys of `overrides`; the file stays as it is.

    Args:
        to_save: keep comments and layout, which takes five times as long.

    Raises:
        ParameterError: the file is missing or broken, or a key leads through a value.
    """
    if not Path(path).exists():
        raise ParameterError(f"{path}: there is no such file; run from the project's folder")
    try:
        tree = read(Path(path), "rt" if to_save else "safe")
    except YamlError as error:
        raise ParameterError(str(error)) from None
    if not isinstance(tree, MutableMapping):
        raise ParameterError(f"{path}: must hold sections (key: value), not {shown(tree)}")
    change(tree, overrides, path)
    return tree


def change(tree: MutableMapping[str, Any], overrides: Mapping[str, object], path: Path_) -> None:
    """Put other values at the dotted keys of `overrides` into the tree of the file `path`.

    Raises:
        ParameterError: a key leads through a value, or a list is longer than any that is of use.
    """
    for key, value in overrides.items():
        if _size(value) > MOST:
            raise ParameterError(f"{path}: {cut(key)} has more than {MOST:,} values")
        *parents, last = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {}) if isinstance(node, MutableMapping) else node
        if not isinstance(node, MutableMapping):
            raise ParameterError(f"{path}: {cut(key)} cannot be set: {cut('.'.join(parents))} holds no keys")
        node[last] = _styled(value, node.get(last)) if isinstance(value, list) else value


def get(tree: Any, key: str) -> object:
    """The value at a dotted key, or None."""
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def save(path: Path_, tree: Mapping[str, Any]) -> None:
    """Write the tree in one step: whoever reads meanwhile sees the old file or the new one."""
    mode = Path(path).stat().st_mode & 0o777
    with replacing(Path(path), mode) as temporary, temporary.open("w", encoding="utf-8") as file:
        yaml("rt").dump(tree, file)


def _size(value: object) -> int:
    """Values within a value, itself among them; of one that is too large, no more than that."""
    size, waiting = 0, [value]
    while waiting and size <= MOST:
        value = waiting.pop()
        size += 1
        waiting += value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return size


def _styled(values: list[Any], before: object) -> CommentedSeq:
    """The list in the style of the one it replaces, else in one line."""
    styled = CommentedSeq(values)
    if isinstance(before, CommentedSeq) and not before.fa.flow_style():
        styled.fa.set_block_style()
    else:
        styled.fa.set_flow_style()
    return styled
