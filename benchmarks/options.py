"""What the parts of `make bench` can be told, and which parts there are to name."""

from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    repeats: int = 5
    images: int = 600_000
    """The larger of the two sets that growth is measured with; the smaller one has a tenth."""
    workers: int = 0
    """Loader processes of the conventional script."""
    port: int = 4290
    """Of the Prefect server that runs are measured with."""


def require_parts(parser: ArgumentParser, chosen: Iterable[str], known: Iterable[str]) -> None:
    """End the program with a line where a part is chosen that is not known."""
    if unknown := set(chosen) - set(known):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(known)}")
