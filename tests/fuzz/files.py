"""Files for what reads files."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from tests.fuzz import valid


@cache
def scratch() -> Path:
    """A file to write inputs to, in memory where there is such a folder."""
    fast = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=fast if fast.is_dir() else None, prefix="fuzz."))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "input"


def file(content: bytes) -> Path:
    path = scratch()
    path.write_bytes(content)
    return path


@cache
def params_file() -> Path:
    """The project's, without comments."""
    path = scratch().with_name("params.yaml")
    path.write_bytes(valid.parameters()[0])
    return path
