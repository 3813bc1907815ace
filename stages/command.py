"""What all stages share as commands: a user's mistake becomes one readable line and exit code 1."""

import os
import sys
from collections.abc import Callable

from digits.errors import DigitsError
from digits.parameters import Parameters, read


def run(stage: Callable[[Parameters], None]) -> None:
    """Check all of params.yaml, run `stage`, end the process: with 1 after an error that a user can mend."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        parameters = read("params.yaml")
        if parameters.train.device == "cuda":
            from digits import devices  # loads torch, which half of the stages do without

            devices.choose("cuda")
        stage(parameters)
    except DigitsError as error:
        sys.exit(_lines(str(error)))
    except FileNotFoundError as error:
        sys.exit(_lines(f"{error.filename} is missing; `dvc repro` runs the stages that make it"))
    except OSError as error:
        sys.exit(_lines(str(error)))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # without unloading torch, which takes a quarter of a second


def _lines(text: str) -> str:
    return "\n".join(f"error: {line}" if not line.startswith(" ") else line for line in text.splitlines())
