"""Which processes count as DVC."""

import pytest

from digits.common.workspace import dvc_arguments


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("/usr/bin/python3 /venv/bin/dvc repro train", ["repro", "train"]),
        ("/venv/bin/python3.11 -m dvc repro", ["repro"]),
        ("python -P -X dev -m dvc exp run", ["exp", "run"]),
        ("/opt/dvc/dvc repro", ["repro"]),
        ("dvc", []),
        ("tmux new -s dvc", None),
        ("vim dvc", None),
        ("bash -c dvc", None),
        ("python train.py dvc", None),
        ("python -c pass dvc", None),
        ("python -m pytest dvc", None),
        ("python -m", None),
        ("python", None),
        ("pythonic dvc", None),
        ("", None),
    ],
)
def test_what_a_process_runs_decides(command: str, arguments: list[str] | None) -> None:
    assert dvc_arguments(command.split()) == arguments
