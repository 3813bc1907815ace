"""What a stage found out, shown in the Prefect UI next to its task."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect_dvc.artifacts import publish_picture, read
from prefect_dvc.project import Stage
from prefect_dvc.workspace import Workspace

METRICS = Path("reports/metrics.json")
MISTAKES = Path("reports/mistakes.png")
PARITY = Path("reports/parity.json")
DATA = Path("reports/data.json")

PARITY_COLUMNS = (
    "provider",
    "optimization",
    "batch_size",
    "largest_difference",
    "largest_excess",
    "class_flips",
    "smallest_margin",
    "accuracy",
)


def publish(workspace: Workspace, stage: Stage, not_before: float = 0.0) -> None:
    """Publish the reports of `stage` as artifacts of the current run; those missing are left out.

    `not_before` is a time as in `Path.stat().st_mtime`; an older report belongs to another run, and is left
    out as well.
    """
    for path, create in PUBLISHERS.get(stage.name, {}).items():
        file = workspace.folder / path
        if file.is_file() and file.stat().st_mtime >= not_before:
            create(file)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty where there is none."""
    content = read(path)
    return content if isinstance(content, dict) else {}


def parity_markdown(parity: dict[str, Any]) -> str:
    """The parity report as Markdown: the verdict, then a table with a row per configuration."""
    verdict = "Runtimes agree with PyTorch" if parity.get("passed") else "A runtime disagrees with PyTorch"
    facts = [f"- {_words(key)}: {_text(value)}" for key, value in parity.items() if _is_scalar(value)]
    rows = [row for row in parity.get("configurations", []) if isinstance(row, dict)]
    columns = [column for column in PARITY_COLUMNS if any(column in row for row in rows)]
    table = [
        _row([_words(column) for column in columns]),
        _row(["---"] * len(columns)),
        *(_row([_text(row.get(column, "")) for column in columns]) for row in rows),
    ]
    return "\n".join([f"# {verdict}", "", *facts, "", *(table if columns else [])])


def _publish_metrics(file: Path) -> None:
    from prefect.artifacts import create_table_artifact  # not for those who only read

    table = [
        {"metric": _words(key), "value": value} for key, value in read_json(file).items() if _is_scalar(value)
    ]
    create_table_artifact(table, key="metrics", description="Of the model on the test images")


def _publish_mistakes(file: Path) -> None:
    publish_picture(file, "mistakes", "The test images the model gets most wrong")


def _publish_parity(file: Path) -> None:
    from prefect.artifacts import create_markdown_artifact

    markdown = parity_markdown(read_json(file))
    create_markdown_artifact(markdown, key="parity", description="ONNX runtimes against PyTorch")


PUBLISHERS: dict[str, dict[Path, Callable[[Path], None]]] = {
    "evaluate": {METRICS: _publish_metrics, MISTAKES: _publish_mistakes},
    "verify": {PARITY: _publish_parity},
}


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)


def _words(key: str) -> str:
    return key.replace("_", " ")


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
