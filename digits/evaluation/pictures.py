"""Pictures of results, as PNG files whose bytes depend on the results alone."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, SymmetricalLogLocator
from numpy.typing import NDArray

from digits.common.about import DIGITS

INK, WRONG = "#1f2937", "#b91c1c"
# Okabe and Ito's, which the colour-blind can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", ":")
LONGEST = 12
"""Characters of a class's name in a picture."""


def mistakes(
    images: NDArray[np.generic],
    labels: Sequence[str],
    predictions: Sequence[str],
    probabilities: Sequence[float],
    total: int,
    path: Path,
) -> None:
    """Images [n, 28, 28] with the names of true and predicted class, and the prediction's probability."""
    columns, wide, high, head = 8, 38, 48, 10
    brief = all(len(name) == 1 for name in (*labels, *predictions))
    between, end, size = (" seen as ", "\n", 9) if brief else ("\nseen as ", "\n", 8)
    rows = max(1, -(-len(labels) // columns))
    # One picture of all images: with axes for each, drawing takes ten times as long.
    paper = images.min() if len(labels) else 0
    mosaic = np.full((head + rows * high, columns * wide), paper, dtype=np.float32)
    figure = Figure(figsize=(mosaic.shape[1] / 30, mosaic.shape[0] / 30))
    axes: Axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top, left = head + row * high + 15, column * wide + 5
        mosaic[top : top + 28, left : left + 28] = image
        true, predicted = shortened(labels[number]), shortened(predictions[number])
        text = f"{true}{between}{predicted}{end}{probabilities[number]:.1%} sure"
        axes.text(left + 14, top - 2, text, ha="center", va="bottom", fontsize=size, color=WRONG)
    shown = f"the {len(labels)} worst of {total} mistakes" if len(labels) < total else f"all {total} mistakes"
    axes.text(
        mosaic.shape[1] / 2, head / 2 + 1, f"{shown} on the test set", ha="center", va="center", color=INK
    )
    axes.imshow(mosaic, cmap="gray_r", interpolation="nearest", aspect="auto")
    save(figure, path)


def shortened(name: str) -> str:
    """The name of a class as pictures have room and letters for it; what the font lacks is its code."""
    known = _font().get_charmap()
    spelt = "".join(
        letter if ord(letter) in known else letter.encode("unicode_escape").decode() for letter in name
    )
    cut = spelt if len(spelt) <= LONGEST else f"{spelt[: LONGEST - 1]}…"
    return cut.replace("$", r"\$")  # two of them would be the ends of a formula


@cache
def _font() -> FT2Font:
    return get_font(findfont(FontProperties()))


def confusion(matrix: NDArray[np.int64], classes: Sequence[str], title: str, path: Path) -> None:
    """The confusion matrix of these classes; colours by share of the row, so that rare ones can be seen."""
    names = [shortened(name) for name in classes]
    brief = all(len(name) == 1 for name in names)
    larger = max(0, len(names) - 10) * 0.4 + (0 if brief else 1)
    figure = Figure(figsize=(6.4 + larger, 6 + larger), layout="constrained")
    axes: Axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            color = "white" if share[row, column] > 0.4 else INK
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=9, color=color)
    what = "digit" if list(classes) == DIGITS else "class"
    axes.set(title=title, xlabel=f"predicted {what}", ylabel=f"true {what}")
    axes.set_xticks(range(len(names)), names, rotation=0 if brief else 45, ha="center" if brief else "right")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    save(figure, path)


def learning_curves(curves: Mapping[str, Sequence[Sequence[float]]], path: Path) -> None:
    """Accuracy (0 to 1) after each epoch: for each name the mean over its lists, and their range as a band.

    The scale is that of the logarithm of the error, so that good ones can be told apart.
    """
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes: Axes = figure.subplots()
    for number, (name, lists) in enumerate(curves.items()):
        epochs = max(map(len, lists))
        errors = np.array([[*np.subtract(1, seeds), *[np.nan] * (epochs - len(seeds))] for seeds in lists])
        errors = np.maximum(errors, 1e-4)
        x = np.arange(1, epochs + 1)
        color, line = COLORS[number % len(COLORS)], LINES[number // len(COLORS) % len(LINES)]
        mean, low, high = (of(errors, axis=0) for of in (np.nanmean, np.nanmin, np.nanmax))
        axes.plot(x, mean, line, color=color, marker="o", markersize=3, label=f"{name}  {1 - mean[-1]:.2%}")
        axes.fill_between(x, low, high, color=color, alpha=0.15, lw=0)
    axes.set_yscale("log")
    axes.invert_yaxis()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 - 100 * error:.4g} %"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel="accuracy on the validation images")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        figure.legend(loc="outside right upper", frameon=False, title="mean after the last epoch")
    save(figure, path)


def reliability(models: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Accuracy by confidence for the `Reliability.bins` of each name; below, how many images each has.

    On the diagonal probabilities are what they say; below it a model is too sure.
    """
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    axes.plot([0, 1], [0, 1], ":", color=INK, lw=1, label="as it should be")
    for number, (name, bins) in enumerate(models.items()):
        filled = [row for row in bins if row["images"]]
        x, y = ([row[key] for row in filled] for key in ("confidence", "accuracy"))
        color, line = COLORS[number % len(COLORS)], LINES[(number + 1) % 2]
        axes.plot(x, y, line, color=color, marker="o", markersize=4, label=name)
        widths = np.array([row["up_to"] - row["above"] for row in bins]) / (len(models) + 0.5)
        places = np.array([row["above"] for row in bins]) + (number + 0.75) * widths
        counts.bar(places, [row["images"] for row in bins], widths, color=color)
    axes.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
    counts.set(xlabel="probability of the most probable class", ylabel="images", yscale="symlog")
    counts.yaxis.set_major_locator(SymmetricalLogLocator(base=100, linthresh=1))
    for each in (axes, counts):
        each.grid(alpha=0.3)
        each.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    save(figure, path)


def robustness(radii: Sequence[int], proven: Sequence[float], standing: Sequence[float], path: Path) -> None:
    """Accuracies (0 to 1) by radius in grey values: proven, and left standing by an attack.

    The truth lies between them.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes: Axes = figure.subplots()
    axes.fill_between(radii, proven, standing, color=COLORS[0], alpha=0.15, lw=0, label="the truth")
    axes.plot(radii, standing, "--", color=COLORS[1], marker="o", markersize=4, label="left by the attack")
    axes.plot(radii, proven, "-", color=COLORS[0], marker="o", markersize=4, label="proven")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g} %"))
    axes.set(
        xlabel="change of every pixel, at most, in grey values",
        ylabel="accuracy on test images",
        ylim=(0, 1.02),
    )
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the same one gives the same bytes."""
    FigureCanvasAgg(figure)
    # Without the library's version in it, the same picture is the same file.
    figure.savefig(path, dpi=110, format="png", metadata={"Software": None})
