"""Tables of results as CSV."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from digits.common.files import replacing


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows of the same names, at least one; numbers with six decimals, None as nothing."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.6f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows
        )
