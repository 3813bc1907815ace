"""Fetch the four original files into data/raw/."""

from pathlib import Path

from digits.common.stage import run
from digits.data.download import download
from digits.data.sections import Download


def main(values: Download) -> None:
    download(values.mirrors, Path("data/raw"), values.attempts, values.timeout)


if __name__ == "__main__":
    run(main, Download.read)
