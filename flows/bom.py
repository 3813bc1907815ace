"""A release's bill of materials: the model, its data, and the packages that decided about it.

CycloneDX 1.6 with its part for models (https://cyclonedx.org/docs/1.6/json/), made from dvc.lock and the
reports alone.
"""

import json
import uuid
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from flows.model_card import Reports
from flows.provenance import FETCH, Lock
from flows.workspace import ModelArtifact

SPECIFICATION = "1.6"
MODEL_LICENSE = "Apache-2.0"
DATA_LICENSES = {"CC BY-SA 3.0": "CC-BY-SA-3.0", "CC BY-SA 4.0": "CC-BY-SA-4.0", "MIT": "MIT"}
"""SPDX's names of what the sets of images state; another one is given in the set's words."""
TRAIN = "train"


def bill(
    model: ModelArtifact,
    reports: Reports,
    lock: Lock,
    parameters: Mapping[str, Mapping[str, Any]],
    versions: Mapping[str, str],
    sha256: str,
) -> dict[str, Any]:
    """The bill of a model file with this SHA-256; the same measurements give the same bill.

    Args:
        model: its name, file and description.
        reports: its measurements, and the images that it has learned from.
        lock: the entries of all stages in dvc.lock.
        parameters: for each stage, the values it depends on.
        versions: of the packages that decided about the result, by name.
        sha256: of the model file.
    """
    packages = [_package(name, version) for name, version in sorted(versions.items())]
    data = _data(lock, reports.data["trained_on"])
    parts: list[dict[str, Any]] = [*([data] if data else []), *packages]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([sha256, parts]))}",
        "version": 1,
        "metadata": {
            "component": {
                "bom-ref": "model",
                "type": "machine-learning-model",
                "name": model.name,
                "description": model.description,
                "licenses": [{"license": {"id": MODEL_LICENSE}}],
                "hashes": [{"alg": "SHA-256", "content": sha256}],
                "modelCard": _card(reports, parameters.get(TRAIN, {}), bool(data)),
            }
        },
        "components": parts,
        "dependencies": [{"ref": "model", "dependsOn": [part["bom-ref"] for part in parts]}],
    }


def _card(reports: Reports, training: Mapping[str, Any], has_data: bool) -> dict[str, Any]:
    metrics, classes = reports.metrics, len(reports.data["trained_on"]["classes"])
    figures = [{"type": key, "value": str(metrics[key]), "slice": "test"} for key in ("accuracy", "loss")]
    network = training.get("train", {}).get("model")
    values = [
        {"name": f"params.yaml: {key}", "value": json.dumps(value)} for key, value in sorted(training.items())
    ]
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "image-classification",
            **({"modelArchitecture": network} if network else {}),
            **({"datasets": [{"ref": "data"}]} if has_data else {}),
            "inputs": [{"format": "image: uint8 [batch, 1, 28, 28]"}],
            "outputs": [
                {"format": f"log_probabilities: float32 [batch, {classes}]"},
                {"format": "familiarity: float32 [batch]"},
            ],
        },
        "quantitativeAnalysis": {"performanceMetrics": figures},
        **({"properties": values} if values else {}),
    }


def _data(lock: Lock, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """The files that the first stage fetched, by DVC's MD5 and the SHA-256 that the reports have of them."""
    files = [out for out in lock.get(FETCH, {}).get("outs", []) if not str(out["md5"]).endswith(".dir")]
    if not files:
        return None
    name, stated = about["title"], about["license"]
    license_ = {"id": DATA_LICENSES[stated]} if stated in DATA_LICENSES else {"name": stated}
    return {
        "bom-ref": "data",
        "type": "data",
        "name": name,
        "data": [{"type": "dataset", "name": name}],
        "licenses": [{"license": license_}],
        "components": [_file(out, about["sha256"].get(PurePath(out["path"]).name)) for out in files],
    }


def _file(out: Mapping[str, Any], sha256: str | None) -> dict[str, Any]:
    known = {"MD5": out["md5"], "SHA-256": sha256}
    hashes = [{"alg": kind, "content": content} for kind, content in known.items() if content]
    return {"type": "file", "name": out["path"], "hashes": hashes}


def _package(name: str, version: str) -> dict[str, Any]:
    """A package of Python; where its version depends on Python's, there is no one address of it."""
    exact = {} if " " in version else {"purl": f"pkg:pypi/{name}@{version}"}
    return {"bom-ref": f"package:{name}", "type": "library", "name": name, "version": version, **exact}
