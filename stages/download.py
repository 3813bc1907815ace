"""Fetch the four original files into data/raw/."""

from pathlib import Path

from digits.common.stage import FETCHED, run
from digits.data.download import download
from digits.data.mnist import RAW_FILES
from digits.data.sections import Download


def main(values: Download) -> None:
    download(values.mirrors, Path("data/raw"), values.attempts, values.timeout, files=RAW_FILES, kept=FETCHED)


if __name__ == "__main__":
    run(main, Download.read)
