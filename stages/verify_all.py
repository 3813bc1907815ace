"""Verify the model in every runtime that digits/runtimes has, not only in the chosen ones. No stage of DVC.

What is here differs between machines, so this certificate, reports/parity-all.json, is not tracked.
"""

from pathlib import Path

from digits.parameters import RUNTIMES, Parameters
from stages.command import run
from stages.verify import certify

PARITY_ALL = Path("reports/parity-all.json")


def main(parameters: Parameters) -> None:
    certify(parameters, RUNTIMES, PARITY_ALL)


if __name__ == "__main__":
    run(main)
