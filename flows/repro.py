"""`dvc` for one command, loaded before it is known which: the arguments come as JSON on standard input."""

import gc
import json
import os
import sys
from contextlib import suppress

gc.disable()  # nothing made here is worth a search before the process ends

from dvc.cli import main  # type: ignore[import-untyped]  # noqa: E402
from dvc.exceptions import DvcException  # type: ignore[import-untyped]  # noqa: E402
from dvc.repo import Repo  # type: ignore[import-untyped]  # noqa: E402

with suppress(DvcException), Repo() as repo:
    len(repo.index.stages)  # only to load what every command needs; `main` reads the files anew

line = sys.stdin.readline()
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a stage has nothing to read
code = main(json.loads(line)) if line else 0
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # without taking everything down piece by piece
