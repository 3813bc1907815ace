from collections import OrderedDict
from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update  # type: ignore[import-untyped]

from flows.lock_file import parse_for_update
from tests.project import ROOT

SCALARS = [
    *(1e-6, 0.1, 1.0, 1e16, 1e22, -0.0, float("inf"), 0, -1, 10**20, None, True, False),
    *("", "null", "yes", "0o17", "2020-01-01", "1e3", "1_000", "~", "- a", "a: b", " a "),
    *("'q'", '"d"', "é", "😀"),
    *("tab\tx", "@x", "%x", "{x}", "0x1F", "<<", "a\nb\n", "C:\\x", "\x07", "x" * 200, "two words " * 30),
    "python train.py &&\n  " + "--option " * 20 + "\ncp a b\n",
]


def written(content: Any) -> str:
    text: str = dumps_yaml(content)
    return text


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_what_dvc_wrote_is_written_again_as_dvc_would(value: object) -> None:
    stage = OrderedDict(
        cmd="run", deps=[OrderedDict(path="a", size=1)], params={"params.yaml": {"key": value}}
    )
    text = written({"schema": "2.0", "stages": {"one": stage, "two": OrderedDict(cmd=[value, []])}})
    as_dvc = written(parse_yaml_for_update(text, "some/dvc.lock"))
    assert written(parse_for_update(text, "some/dvc.lock")) == as_dvc


def test_the_lock_of_this_project_stays_as_it_is() -> None:
    text = (ROOT / "dvc.lock").read_text()
    content = parse_for_update(text, "dvc.lock")
    assert type(content) is dict, "parsed in C"
    assert written(content) == text


@pytest.mark.parametrize("name", ["dvc.lock", "params.yaml"])
def test_comments_stay(name: str) -> None:
    text = "a: 1 # why\n"
    assert written(parse_for_update(text, name)) == text
