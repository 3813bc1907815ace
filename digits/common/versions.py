"""The packages that decide about results, in the versions that versions.yaml states.

The file is a dependency of the stages, package by package: another version makes stale what it may change.
`make lock` writes it.
"""

import re
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from digits.common import parameters_file
from digits.common.errors import DigitsError

FILE = Path("versions.yaml")
DECIDING = (
    *("torch", "numpy", "safetensors", "matplotlib", "pillow"),
    *("onnx", "onnx-ir", "onnxscript", "onnxruntime"),
    *("openvino", "opencv-python-headless"),
)
OPTIONAL = {"openvino", "opencv-python-headless"}
GPU = "-gpu"  # a build of the package before it, of which one is installed
OR = " or "  # where Python's version decides which one is installed
HEAD = "# The packages that decide about results; `make lock` writes this, a stage runs with these alone.\n"


class VersionError(DigitsError):
    """Another version is installed than the one that the results are to be of."""


def require(packages: Collection[str], path: Path = FILE) -> None:
    """Find out before any work whether these packages are the stated ones; builds (+cpu) count as equal.

    Raises:
        VersionError: one is not, or not here; a line for each.
    """
    if not packages:
        return
    stated = parameters_file.load(path, {})
    wrong = []
    for package in packages:
        found, wanted = installed(package), str(stated.get(package))
        if found is None:
            wrong.append(f"{package} is not installed; {path} has {wanted}: make setup")
        elif found.partition("+")[0] not in wanted.split(OR):
            wrong.append(
                f"{package} {found} is installed, but {path} has {wanted}: make setup installs that one, and "
                "make lock makes the results those of other versions"
            )
    if wrong:
        raise VersionError("\n".join(wrong))


def installed(package: str) -> str | None:
    """The version that is here, of whichever build."""
    for build in (package, package + GPU):
        with suppress(PackageNotFoundError):
            return version(build)
    return None


def of_lock_files(paths: Iterable[Path]) -> str:
    """The content of versions.yaml: what these files of requirements have of the deciding packages."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    found: dict[str, set[str]] = {}
    for match in re.finditer(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE):
        found.setdefault(match[1].removesuffix(GPU), set()).add(match[2])
    return HEAD + "".join(f'{name}: "{OR.join(sorted(found[name]))}"\n' for name in DECIDING)


if __name__ == "__main__":
    FILE.write_text(of_lock_files(map(Path, sys.argv[1:])), encoding="utf-8")
