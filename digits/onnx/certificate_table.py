"""The certificate as lines and as a table that people read."""

from collections.abc import Sequence
from typing import Any

from digits.onnx.certificate import Missing
from digits.onnx.parity import Comparison

HEAD = (
    "runtime",
    "version",
    "what ran",
    "optimizations",
    "batches",
    "largest error",
    "mean error",
    "x PyTorch",
    "of the bound",
    "flips",
    "near-ties flipped",
    "accuracy",
    "result",
)


def line(result: Comparison | Missing) -> str:
    """One result, while the others are still being made."""
    if isinstance(result, Missing):
        return f"{result.runtime}: missing: {result.reason}"
    return (
        f"{result.runtime}, {result.provider}, optimizations {result.optimization}, "
        f"batch {result.batch_size}: largest difference {result.largest_difference}, "
        f"{result.error_ratio} times PyTorch's own; {result.class_flips} flips, accuracy {result.accuracy}"
        + (f"; FAILED: {'; '.join(result.faults)}" if result.faults else "")
    )


def table(proof: dict[str, Any]) -> str:
    """Markdown, a row for each runtime with the worst of its configurations; then what to compare with."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for c in proof["configurations"]:
        groups.setdefault((c["runtime"], c["version"], c["provider"]), []).append(c)
    rows = [HEAD, *(_row(*key, found) for key, found in groups.items())]
    rows += [(m["runtime"], *["-"] * (len(HEAD) - 2), f"missing: {m['reason']}") for m in proof["missing"]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD) - 1)]
    lines = [_line(row, widths) for row in rows]
    return "\n".join(
        ["", lines[0], _line(["-" * w for w in [*widths, 6]], widths), *lines[1:], "", _facts(proof)]
    )


def _row(runtime: str, version: str, provider: str, found: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    def worst(key: str, form: str) -> str:
        values = [c[key] for c in found if c[key] is not None]
        return format(max(values), form) if values else "-"

    return (
        runtime,
        version,
        provider,
        ", ".join(dict.fromkeys(c["optimization"] for c in found)),
        ", ".join(dict.fromkeys(str(c["batch_size"]) for c in found)),
        worst("largest_difference", ".2e"),
        worst("mean_difference", ".2e"),
        worst("error_ratio", ".2f"),
        worst("part_of_bound", ".1e"),
        worst("class_flips", "d"),
        worst("near_tie_flips", "d"),
        f"{min(c['accuracy'] for c in found):.4f}",
        "FAILED" if any(c["faults"] for c in found) else "passed",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return "| " + " | ".join([*padded, cells[-1]]) + " |"


def _facts(proof: dict[str, Any]) -> str:
    facts = (
        f"{proof['images']:,} images. PyTorch float32: largest error {proof['torch_float32_error']:.2e}, "
        f"mean {proof['torch_float32_mean_error']:.2e}, accuracy {proof['accuracy_torch']:.4f}. "
        f"Smallest margin {proof['smallest_margin']:.2e}: "
        f"an error below {proof['largest_harmless_error']:.2e} flips nothing."
    )
    if bound := proof["bound"]:
        facts += (
            f"\n{bound['certain']:,} of {bound['images_bounded']:,} answers are certain in every float32 "
            f"runtime: no error of a difference can exceed {bound['median_bound']:.1e} (median) to "
            f"{bound['largest_bound']:.1e}."
        )
    if ties := proof["near_ties"]:
        facts += (
            f"\n{ties['images']} near-ties, margins {ties['smallest_margin']:.1e} to "
            f"{ties['largest_margin']:.1e}: PyTorch float32 flips {ties['torch_float32_flips']} of them. "
            f"A flip is explained by rounding up to a margin of {ties['explained_margin']:.1e}."
        )
    return facts
