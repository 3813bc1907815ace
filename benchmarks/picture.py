"""The figures of `make bench` as a picture: medians and ranges on a logarithmic scale."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.figures import Figure, Part

APART = ("inference", "short")  # the first has a panel of its own, the second is for CI
COLORS = {None: "#3b6ea5", True: "#2e7d32", False: "#c62828"}
ROW = 0.26  # inches


def draw(parts: Mapping[str, Part], path: Path) -> None:
    """Write the picture of all parts."""
    panels = {
        "Ratios within one run (lower is better; the mark is what is aimed at)": {
            name: part.figures for name, part in parts.items() if name not in APART
        },
        "Time for a batch / PyTorch's with the same threads": {
            name: part.figures for name, part in parts.items() if name == "inference"
        },
    }
    panels = {title: groups for title, groups in panels.items() if groups}
    rows = max((sum(len(found) + 1 for found in groups.values()) for groups in panels.values()), default=0)
    canvas = Canvas(figsize=(max(1, len(panels)) * 8.5, 1.4 + ROW * rows), layout="constrained")
    for column, (title, groups) in enumerate(panels.items(), start=1):
        _panel(canvas.add_subplot(1, len(panels), column), groups, title, rows)
    machines = sorted({part.machine for part in parts.values() if part.machine})
    canvas.suptitle("\n".join(machines), fontsize=8, color="#555555")
    canvas.savefig(path, dpi=80)


def _panel(axes: Axes, groups: Mapping[str, list[Figure]], title: str, rows: int) -> None:
    labels: list[str] = []
    for name, figures in groups.items():
        labels.append(name)
        for figure in figures:
            _row(axes, len(labels), figure)
            labels.append(figure.name)
    axes.set_title(title, fontsize=10)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvline(1, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    for tick, label in zip(axes.get_yticklabels(), labels, strict=True):
        if label in groups:
            tick.set_fontweight("bold")
    axes.set_ylim(rows - 0.5, -0.5)  # of all panels, so that rows are equally high
    axes.margins(x=0.12)
    axes.grid(axis="x", color="#eeeeee")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _row(axes: Axes, row: int, figure: Figure) -> None:
    color = COLORS[figure.met]
    axes.plot([min(figure.values), max(figure.values)], [row, row], color=color, linewidth=3, alpha=0.35)
    axes.plot(figure.median, row, "o", color=color, markersize=5)
    right = max(*figure.values, figure.median, figure.at_most or 0.0)
    axes.annotate(f"{figure.median:.3g}", (right, row), (6, -3), textcoords="offset points", fontsize=7)
    if figure.at_most is not None:
        axes.plot(figure.at_most, row, "|", color="black", markersize=11)
