"""Fetch the four original files into data/raw/."""

from pathlib import Path

from digits.download import download
from digits.parameters import Parameters
from stages.command import run


def main(parameters: Parameters) -> None:
    values = parameters.download
    download(values.mirrors, Path("data/raw"), values.attempts, values.timeout)


if __name__ == "__main__":
    run(main)
