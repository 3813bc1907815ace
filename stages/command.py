"""What all stages share as commands: a user's mistake becomes one readable line and exit code 1."""

import os
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from digits.errors import DigitsError
from digits.parameters import Parameters, read
from stages import workspace

GRACE = 5.0  # seconds


def run(stage: Callable[[Parameters], None], processes: bool = False) -> None:
    """Check all of params.yaml, run `stage`, end the process: with 1 after an error that a user can mend.

    Args:
        processes: whether `torchrun` may start the stage in several processes, which share its work.
    """
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        if not processes and "TORCHELASTIC_RUN_ID" in os.environ:
            raise DigitsError("torchrun is for stages.train; start this stage with python -m")
        workspace.claim()
        parameters = read("params.yaml")
        if parameters.train.device == "cuda":
            from digits import devices  # loads torch, which half of the stages do without

            devices.choose("cuda")
        stage(parameters)
    except DigitsError as error:
        _fail(str(error))
    except FileNotFoundError as error:
        _fail(f"{error.filename} is missing; `dvc repro` runs the stages that make it")
    except OSError as error:
        _fail(str(error))
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
    sys.exit(_lines(text))


def _lines(text: str) -> str:
    return "\n".join(f"error: {line}" if not line.startswith(" ") else line for line in text.splitlines())
