"""Verify the model in every runtime that digits/runtimes has, not only in the chosen ones. No stage of DVC.

What is here differs between machines, so this certificate, reports/parity-all.json, is not tracked.
"""

from pathlib import Path

from digits.common.stage import run
from digits.onnx.sections import RUNTIMES, Verify
from stages.verify import PACKAGES, certify

PARITY_ALL = Path("reports/parity-all.json")


def main(values: Verify) -> None:
    certify(values, RUNTIMES, PARITY_ALL)


if __name__ == "__main__":
    run(main, Verify.read, *PACKAGES)
