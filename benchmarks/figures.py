"""What `make bench` finds: ratios within one run, one for each repeat, in parts; as JSON and as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.project import BenchError

DIGITS = 4  # that count, of what is written down


@dataclass(frozen=True)
class Figure:
    """One ratio, measured anew in each repeat. The lower, the better."""

    name: str
    values: list[float]
    at_most: float | None = None
    """What the median should not exceed."""
    margin: float | None = None
    """How many times the committed median CI lets it be, where it is a figure of the short form."""

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median is what it should be; None where nothing is asked."""
        return None if self.at_most is None else self.median <= self.at_most


@dataclass(frozen=True)
class Part:
    """What one part has measured."""

    figures: list[Figure]
    sides: dict[str, float] = field(default_factory=dict)
    """What the ratios are made of: medians, by names that tell the unit."""
    notes: list[str] = field(default_factory=list)
    machine: str = ""


class SkippedError(Exception):
    """A part cannot be measured here; the message says what it needs."""


def medians(measured: Mapping[str, Sequence[float]], unit: str = "s") -> dict[str, float]:
    """The `sides` of a part, by what was measured in all repeats."""
    return {f"{name} [{unit}]": median(values) for name, values in measured.items()}


def read(path: Path) -> dict[str, Part]:
    """The parts of a file that `write` has written; none where there is no file.

    Raises:
        BenchError: it holds something else.
    """
    if not path.exists():
        return {}
    try:
        parts = json.loads(path.read_text())
        return {
            name: Part(**{**part, "figures": [Figure(**figure) for figure in part["figures"]]})
            for name, part in parts.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BenchError(f"{path} is not what `make bench` has written: {error}") from error


def write(path: Path, parts: Mapping[str, Part]) -> None:
    tree = _rounded({name: asdict(part) for name, part in parts.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=1, ensure_ascii=False) + "\n")


def table(parts: Mapping[str, Part]) -> str:
    """All figures, in Markdown."""
    lines = [
        f"| {'part':<12} | {'ratio':<60} | median | lowest to highest | at most |",
        f"|{'-' * 14}|{'-' * 62}|-------:|------------------:|---------|",
    ]
    for name, part in parts.items():
        lines += [_row(name, figure) for figure in part.figures]
    return "\n".join(lines)


def _row(part: str, figure: Figure) -> str:
    spread = f"{min(figure.values):.3g} to {max(figure.values):.3g}"
    verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
    bound = "" if figure.at_most is None else f"{figure.at_most:g}, {verdict}"
    return f"| {part:<12} | {figure.name:<60} | {figure.median:6.3g} | {spread:>17} | {bound} |"


def worse(found: Part, committed: Part) -> Iterator[str]:
    """A line for each figure that is worse than the committed one by more than its margin.

    Margins are those that were committed; a figure without, or that only one of the two has, is not compared,
    but a committed one that is not found any more is told of.
    """
    by_name = {figure.name: figure for figure in found.figures}
    for before in committed.figures:
        if before.margin is None:
            continue
        now = by_name.get(before.name)
        if now is None:
            yield f"{before.name}: is not measured any more; `make bench ARGS=short` writes down what is"
        elif now.median > before.median * before.margin:
            yield (
                f"{before.name}: {now.median:.3g}, which is more than {before.margin:g} times "
                f"the committed {before.median:.3g}"
            )


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return value
