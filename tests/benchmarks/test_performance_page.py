"""The table of docs/performance.md says what reports/bench.json has."""

import re
from statistics import median

import pytest

from benchmarks.figures import Part, read
from tests.project import ROOT

ROWS = {
    "whole job / conventional script": ("conventional", "whole job / script"),
    "`train` stage, whole process / the script's five epochs and tests": (
        "conventional",
        "train stage, whole process / the script's epochs and tests",
    ),
    "peak memory of `train` / of `import torch`": (
        "conventional",
        "peak memory of train / of `import torch`",
    ),
    "epoch / its matrix products": ("roofline", "epoch / its matrix products"),
    "steps of `cnn` / their convolutions": ("convolutional", "convolutional steps / their convolutions"),
    "steps of `cnn` / products of large matrices, as many operations": (
        "convolutional",
        "convolutional steps / a product as large",
    ),
    "epoch / JAX's on one core": ("jax", "epoch / JAX's, without its compiling"),
    "loop / matrix products, processor time": ("short", "loop / matrix products, processor time"),
    "whole job / its stages as bare processes, in turn": (
        "overhead",
        "whole job / its stages alone, in turn",
    ),
    "whole job, two stages at a time / one": ("jobs", "whole job, stages two at a time / one"),
    "nothing to do, own server / whole job": ("overhead", "nothing to do, flows, own server / whole job"),
    "nothing to do, running server / whole job": (
        "overhead",
        "nothing to do, flows, running server / whole job",
    ),
    "nothing to do, `dvc repro` / whole job": ("overhead", "nothing to do, dvc repro / whole job"),
    "nothing to do, `dvc status` / whole job": ("overhead", "nothing to do, dvc status / whole job"),
    "seconds for an image, 600,000 / 60,000": ("growth", "seconds for an image, 600,000 images / 60,000"),
    "peak memory, 600,000 / 60,000": ("growth", "peak memory, 600,000 images / 60,000"),
}
PARTS: dict[str, Part] = read(ROOT / "reports/bench.json")
TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/performance.md").read_text().splitlines()
    if line.startswith("| ") and line.count("|") == 7
]


def as_said(value: float, said: str) -> bool:
    """Whether a number is written down with its last place rounded."""
    places = len(said.partition(".")[2])
    return abs(value - float(said)) <= 0.5 * 10.0**-places * (1 + 1e-6)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_table_is_what_was_measured(row: str) -> None:
    (found,) = [cells for cells in TABLE if cells[0] == row]
    part, name = ROWS[row]
    (figure,) = [figure for figure in PARTS[part].figures if figure.name == name]
    assert as_said(median(figure.values), found[1])
    if found[2]:
        low, high = re.findall(r"[\d.]+", found[2])
        assert as_said(min(figure.values), low)
        assert as_said(max(figure.values), high)
    assert (float(found[3]) if found[3] else None) == figure.at_most
