"""Fetch the images of the chosen set into data/raw/: four files as MNIST has them, and what they are."""

from pathlib import Path

from digits.common.stage import FETCHED, run
from digits.data import raw
from digits.data.data_set import Wanted

RAW = Path("data/raw")


def main(wanted: Wanted) -> None:
    about = wanted.set.fetch(wanted, RAW, FETCHED)
    raw.write_about(RAW, about)
    print(f"{about.title}: {about.images['train']:,} images to train on, {about.images['t10k']:,} to test")


if __name__ == "__main__":
    run(main, Wanted.read, "numpy", "pillow")
