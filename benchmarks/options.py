"""What the parts of `make bench` can be told."""

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
