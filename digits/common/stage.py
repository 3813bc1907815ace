"""What all stages share as commands: a user's mistake becomes one readable line and exit code 1."""

import gc
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from digits.common import locking, versions, workspace
from digits.common.errors import DigitsError

GRACE = 5.0  # seconds
FETCHED = Path(".dvc/tmp/fetched")
"""Where files that came over the network stay: a stage's outputs go before it runs again."""
NO_MEMORY = re.compile("can't allocate memory|out of memory")
BRING_BACK = "`make restore` puts the outputs of before back"

T = TypeVar("T")


def run(main: Callable[[T], None], read: Callable[[], T], *packages: str, torchrun: bool = False) -> NoReturn:
    """Read a stage's own values, run it, end the process: with 1 after an error that a user can mend.

    Args:
        packages: those that decide about the result; they must be here in the versions of versions.yaml.
        torchrun: whether `torchrun` may start the stage in several processes, which share its work.
    """
    # Loading torch makes a million objects that stay: to look through them takes a fifth of the time.
    gc.set_threshold(100_000)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        if not torchrun and "TORCHELASTIC_RUN_ID" in os.environ:
            raise DigitsError("torchrun is for stages.train; start this stage with python -m")
        workspace.claim()
        versions.require(packages)
        main(read())
    except DigitsError as error:
        _fail(str(error))
    except FileNotFoundError as error:
        # safetensors names the file in its words alone.
        name = error.filename or str(error).rpartition(": ")[2]
        _fail(f"{name} is missing; `dvc repro` runs the stages that make it")
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (MemoryError, RuntimeError) as error:  # the latter is PyTorch's
        if not isinstance(error, MemoryError) and not NO_MEMORY.search(str(error)):
            raise
        cause = " ".join(str(error).split()) or "Python could not get more"
        _fail(f"not enough memory: {cause}; end other programs, or see docs/scaling.md for what takes less")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # without unloading torch, which takes a quarter of a second


def _fail(text: str) -> NoReturn:
    if rank := workspace.rank():
        # A trouble that all have in common is the first one's to tell; torchrun then ends the others.
        time.sleep(GRACE)
        text = "\n".join(f"process {rank}: {line}" for line in text.splitlines())
    elif "DVC_STAGE" in os.environ and locking.HELD not in os.environ:  # a pipeline says it by itself
        text = f"{text}\n{BRING_BACK}"
    sys.exit(_lines(text))


def _lines(text: str) -> str:
    return "\n".join(f"error: {line}" if not line.startswith(" ") else line for line in text.splitlines())
