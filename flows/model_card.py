"""The model card of a release, made from its measurements alone."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from flows import outside
from flows.workspace import ModelArtifact

TEMPLATE = Path(__file__).with_name("model_card.md")
HUB = {"mnist": "ylecun/mnist", "fashion_mnist": "zalando-datasets/fashion_mnist"}
"""Sets that have a name on the Hugging Face Hub, where the card's head is read."""


class Reports(NamedTuple):
    """What the stages have written, as JSON has it."""

    metrics: Mapping[str, Any]
    """reports/metrics.json."""
    parity: Mapping[str, Any]
    """reports/parity.json."""
    data: Mapping[str, Any]
    """reports/data.json."""
    outside: Mapping[str, Any] = {}
    """reports/shift.json, where it is of this model."""


def model_card(
    model: ModelArtifact,
    reports: Reports,
    parameters: Mapping[str, Mapping[str, Any]],
    versions: Mapping[str, str],
    hashes: Mapping[str, str],
) -> str:
    """Markdown; the same measurements give the same text.

    Args:
        model: its name, file and description.
        reports: its measurements, and the images that it has learned from.
        parameters: for each stage, the values it depends on.
        versions: of the packages that decided about the result, by name.
        hashes: of the release's files, by name.
    """
    metrics, parity = reports.metrics, reports.parity
    configurations = parity["configurations"]
    runtimes = sorted({f"{c['runtime']} {c['version']}, {c['provider']}" for c in configurations})
    chosen = sorted(_flat({k: v for stage in parameters.values() for k, v in stage.items()}).items())
    return TEMPLATE.read_text(encoding="utf-8").format(
        **{key: metrics[key] for key in ("images", "accuracy", "loss", "mistakes")},
        name=model.name,
        description=model.description,
        file=model.path.name,
        configurations=len(configurations),
        runtimes="; ".join(runtimes),
        difference=parity["largest_difference"],
        error=parity["torch_float32_error"],
        flips=parity["class_flips"],
        runtime_accuracy=parity["accuracy_runtime"],
        parameters="\n".join(f"| `{key}` | `{value}` |" for key, value in chosen),
        versions=", ".join(f"{name} {version}" for name, version in sorted(versions.items())),
        hashes=_table(hashes),
        outside=outside.table(reports.outside),
        **_words(reports.data),
        **_head(reports.data),
    )


def _head(data: Mapping[str, Any]) -> dict[str, str]:
    """What the card's head says of the images, as YAML."""
    trained, tested = data["trained_on"]["set"], data["tested_on"]
    names = [*(["digits"] if data["trained_on"]["thing"] == "a digit" else []), trained.replace("_", "-")]
    return {
        "tags": ", ".join(["onnx", *names]),
        "datasets": f"datasets: [{HUB[trained]}]\n" if trained in HUB else "",
        "tested_type": HUB.get(tested["set"], tested["set"]),
        "tested_name": json.dumps(tested["title"], ensure_ascii=False),
    }


def _table(hashes: Mapping[str, str]) -> str:
    return "\n".join(f"| `{name}` | `{digest}` |" for name, digest in hashes.items())


def _words(data: Mapping[str, Any]) -> dict[str, str]:
    """What the card says of the images: what the model was trained on, what it knows, and the files."""
    trained, tested = data["trained_on"], data["tested_on"]
    classes, noun = trained["classes"], trained["thing"].partition(" ")[2]
    names = ", ".join(map(_plain, classes))
    if trained["set"] == tested["set"]:
        first = f"Trained and measured on {trained['title']}"
    else:
        first = f"Trained on {trained['title']}, measured on {tested['title']}"
    lies = "size-normalized to 20 by 20 pixels and centred by centre of mass"
    knows = lies if trained["prepared"] else "as the set has them, 28 by 28 pixels each"
    files = {name: digest for name, digest in trained.items() if name.endswith(".safetensors")}
    files |= {name: digest for name, digest in tested.items() if name.endswith(".safetensors")}
    counts = trained["images"]
    many = f": {counts['train']:,} images to train on, {counts['t10k']:,} to test" if counts else ""
    return {
        "trained": f"{first}; {len(classes)} classes: {names}.",
        "classes": str(len(classes)),
        "thing": trained["thing"],
        "knows": f"It knows one {noun} at a time, {knows}. It names a class for any picture, also "
        "for one that shows none of them; `familiarity` tells many of those, not all.",
        "data": f"{trained['title']}{many}. Licence: {trained['license']}. Which images these are, by their "
        "SHA-256 (`data.json` has all that is known of them):\n\n| file | SHA-256 |\n|---|---|\n"
        + _table({**tested["sha256"], **trained["sha256"], **files}),
    }


def _plain(name: str) -> str:
    """Of a class, as it reads in Markdown; in quotes where it could be taken for several."""
    line = " ".join(name.split())
    escaped = re.sub(r"[\\`*_{}\[\]<>&|#!~$]", r"\\\g<0>", line)
    return f'"{escaped}"' if "," in line else escaped


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
