"""What a stage found out, shown in the Prefect UI next to its task: its metrics, plots and pictures."""

import base64
import csv
import json
import mimetypes
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from prefect_dvc.project import PICTURES, Stage
from prefect_dvc.workspace import Workspace

ROWS = 500  # of the data of a plot; the UI shows them as a table
LARGEST_PICTURE = 2_000_000  # bytes; a picture is kept in the server's database


def publish(workspace: Workspace, stage: Stage, not_before: float = 0.0) -> None:
    """Publish the metrics, plots and pictures of a stage as artifacts of the current run.

    What is missing or cannot be read is left out.

    Args:
        not_before: as in `os.stat_result.st_mtime`; an older file is of another run, and is left out, too.
    """
    from prefect.artifacts import create_table_artifact  # not for those who only read

    for path in stage.metrics:
        for file in _files(workspace.folder / path, not_before):
            metrics = [{"metric": name, "value": value} for name, value in _flat(read(file))]
            if metrics:
                create_table_artifact(metrics, key=key(stage, path), description=f"Metrics: {path}")
    for path in stage.plots:
        for file in _files(workspace.folder / path, not_before):
            name = file.relative_to(workspace.folder)
            if file.suffix.lower() in PICTURES:
                publish_picture(file, key(stage, name), str(name))
            elif rows := _rows(file):
                create_table_artifact(rows, key=key(stage, name), description=f"Plot: {name}")


def publish_picture(file: Path, key: str, description: str) -> None:
    """Publish a picture as an artifact of the current run, unless it is a large one."""
    if file.stat().st_size > LARGEST_PICTURE:
        return
    from prefect.artifacts import create_image_artifact

    # A browser cannot read this machine's files, and the newer UI cleans data addresses out of Markdown.
    kind = mimetypes.guess_type(file.name)[0]
    address = f"data:{kind};base64," + base64.b64encode(file.read_bytes()).decode("ascii")
    create_image_artifact(address, key=key, description=description)


def key(stage: Stage, path: Path) -> str:
    """A name as Prefect wants it for artifacts, the same in every run."""
    return re.sub("[^a-z0-9]+", "-", f"{stage.name} {path}".lower()).strip("-")


def read(file: Path) -> Any:
    """The content of a file of metrics (JSON, YAML or TOML); None where it cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".toml":
            import tomllib

            return tomllib.loads(text)
        return json.loads(text) if file.suffix == ".json" else YAML(typ="safe").load(text)
    except (OSError, ValueError, YAMLError):
        return None


def _files(path: Path, not_before: float) -> Iterator[Path]:
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return (file for file in found if file.is_file() and file.stat().st_mtime >= not_before)


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, str | int | float]]:
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(content, str | int | float):
        yield prefix, content


def _rows(file: Path) -> list[dict[str, Any]]:
    if file.suffix in (".csv", ".tsv"):
        with file.open(encoding="utf-8", errors="replace", newline="") as opened:
            rows = csv.DictReader(opened, delimiter="\t" if file.suffix == ".tsv" else ",")
            return list(islice(rows, ROWS))
    content = read(file)
    if isinstance(content, Mapping):  # as DVC does: the first list in it
        content = next((value for value in content.values() if isinstance(value, list)), None)
    return [row for row in content[:ROWS] if isinstance(row, dict)] if isinstance(content, list) else []
