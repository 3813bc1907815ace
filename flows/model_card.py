"""The model card of a release, made from its measurements alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.workspace import ModelArtifact

TEMPLATE = Path(__file__).with_name("model_card.md")


def model_card(
    model: ModelArtifact,
    metrics: Mapping[str, Any],
    parity: Mapping[str, Any],
    parameters: Mapping[str, Mapping[str, Any]],
    versions: Mapping[str, str],
    hashes: Mapping[str, str],
) -> str:
    """Markdown; the same measurements give the same text.

    Args:
        model: its name, file and description.
        metrics: reports/metrics.json.
        parity: reports/parity.json.
        parameters: for each stage, the values it depends on.
        versions: of the packages that decided about the result, by name.
        hashes: of the release's files, by name.
    """
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
        hashes="\n".join(f"| `{name}` | `{digest}` |" for name, digest in hashes.items()),
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
