"""Figures of `make bench`: medians, what is met, files, and what CI lets pass."""

from pathlib import Path

import pytest

from benchmarks import picture
from benchmarks.figures import Figure, Part, medians, read, table, worse, write
from benchmarks.turns import in_turns, ratios


def test_sides_take_turns_that_are_turned_round() -> None:
    order: list[str] = []
    seconds = iter([0.0, 2.0, 10.0, 11.0, 20.0, 23.0, 30.0, 34.0])
    sides = {name: lambda name=name: order.append(name) for name in ("a", "b")}
    taken = in_turns(sides, 2, lambda: next(seconds))
    assert order == ["a", "b", "a", "b", "b", "a"], "once to warm up, then forth and back"
    assert taken == {"a": [2.0, 4.0], "b": [1.0, 3.0]}
    assert ratios(taken["a"], taken["b"]) == [2.0, 4 / 3]


def test_the_table_has_medians_and_ranges_and_judges_targets() -> None:
    figures = [Figure("a / b", [3.0, 1.0, 2.0], 2.0), Figure("c / d", [3.0], 2.5), Figure("e / f", [1.0])]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table({"part": Part(figures)}).splitlines()
    ]
    assert rows[2:] == [
        ["part", "a / b", "2", "1 to 3", "2, met"],
        ["part", "c / d", "3", "3 to 3", "2.5, MISSED"],
        ["part", "e / f", "1", "1 to 1", ""],
    ]


def test_parts_are_read_as_they_were_written(tmp_path: Path) -> None:
    part = Part([Figure("a / b", [1.5, 2.0], 2.0, 1.25)], medians({"a": [3.0, 1.0, 2.0]}), ["a note"], "one")
    path = tmp_path / "reports/bench.json"
    assert read(path) == {}
    write(path, {"part": part})
    assert read(path) == {"part": part}
    assert part.sides == {"a [s]": 2.0}
    write(path, {"part": Part([Figure("a / b", [1.23456789])])})
    assert read(path)["part"].figures[0].values == [1.235]


@pytest.mark.parametrize(("now", "told"), [(1.9, []), (2.1, ["a / b: 2.1, which is more than 2 times"])])
def test_a_figure_may_be_worse_within_its_committed_margin(now: float, told: list[str]) -> None:
    committed = Part([Figure("a / b", [1.0], margin=2.0), Figure("without margin", [1.0])])
    found = Part([Figure("a / b", [now], margin=9.0), Figure("without margin", [7.0]), Figure("new", [7.0])])
    lines = list(worse(found, committed))
    assert [line[: len(start)] for line, start in zip(lines, told, strict=True)] == told


def test_a_committed_figure_does_not_go_away_unnoticed() -> None:
    (line,) = worse(Part([]), Part([Figure("a / b", [1.0], margin=2.0)]))
    assert line.startswith("a / b: is not measured any more")


def test_the_picture_shows_every_figure(tmp_path: Path) -> None:
    parts = {
        "roofline": Part(
            [Figure("epoch / products", [1.0, 2.0], 1.6), Figure("a / b", [0.2])], machine="one"
        ),
        "inference": Part([Figure("onnxruntime_cpu, batch 1, 1 thread", [0.3])], machine="one"),
        "short": Part([Figure("for CI", [1.0])], machine="two"),
    }
    picture.draw(parts, tmp_path / "bench.svg")
    text = (tmp_path / "bench.svg").read_text()
    for shown in ("epoch / products", "a / b", "onnxruntime_cpu, batch 1, 1 thread", "one", "two"):
        assert f"<!-- {shown} -->" in text
    assert "for CI" not in text
