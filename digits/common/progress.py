"""Progress: a bar on a terminal, nothing in a log (whoever works prints sober lines there)."""

import os
import sys
from typing import Any

from tqdm import tqdm


def progress_bar(total: int | None, title: str, unit: str) -> "tqdm[Any]":
    """A bar on standard error that shows rate and remaining time; hidden where that is no terminal.

    Of processes that train together, the first shows one.
    """
    return tqdm(
        total=total,
        desc=title,
        unit=unit,
        unit_scale=True,
        leave=False,
        dynamic_ncols=True,
        disable=not sys.stderr.isatty() or os.environ.get("RANK", "0") != "0",
    )
