"""What `make shift` has measured of a model outside its test set, where it was this very model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.artifacts import read_json
from prefect_dvc.artifacts import read
from prefect_dvc.cache import md5

SHIFT = Path("reports/shift.json")
LOCK = Path("robustness/dvc.lock")
NAMES = {"test_images": "test images, for comparison", "mean": "the same, changed in fifteen ways"}


def measured(root: Path, model: Path, digest: str) -> Mapping[str, Any]:
    """The figures of reports/shift.json; none where they are of another model than the one with this MD5.

    `model` is its path in the workspace `root`. robustness/dvc.lock says of which model the report is; of
    none, where it is broken.
    """
    if not (root / SHIFT).is_file():
        return {}
    stage = (read(root / LOCK) or {}).get("stages", {}).get("shift", {})
    known = {entry["path"]: entry.get("md5") for kind in ("deps", "outs") for entry in stage.get(kind, [])}
    if known.get(str(model)) != digest or known.get(str(SHIFT)) != md5(root / SHIFT):
        return {}
    found: Mapping[str, Any] = read_json(root / SHIFT).get("shift", {})
    return found


def table(figures: Mapping[str, Any]) -> str:
    """A section of the model card, in Markdown; nothing where nothing was measured."""
    if not figures:
        return ""
    rows = [(text, figures[key]) for key, text in NAMES.items()]
    rows += [(name.replace("_", " "), share) for name, share in figures["collections"].items()]
    if letters := figures.get("letters"):
        rows.append(("letters, which are no digits: share of answers above 90 %", letters["sure"]))
    lines = [f"| {name} | {share:.1%} |" for name, share in rows]
    head = [f"## Outside the test set ({figures['images']:,} test images)", "", "| accuracy | |", "|---|---|"]
    return "\n".join([*head, *lines, "", ""])
