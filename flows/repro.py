"""`dvc` for one command in a process of its own, quicker to start and to end: `python repro.py ARGUMENTS`."""

import gc
import os
import sys

gc.disable()  # nothing made here is worth a search before the process ends

from dvc.cli import main  # type: ignore[import-untyped]  # noqa: E402

code = main(sys.argv[1:])
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # without taking everything down piece by piece
