"""A stage as a process: a module `python -m MODULE` in a fork of this one, anything else in a shell."""

import gc
import os
import re
import runpy
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from dvc.stage.run import _make_cmd, get_executable  # type: ignore[import-untyped]


class ProcessRunner:
    """Stages as children of this process, which has loaded what they need."""

    def run(self, command: str, folder: str, environment: dict[str, str]) -> int:
        module = re.fullmatch(r"python -m ([\w.]+)", command)
        wait: Callable[[], int]
        if module:
            wait = partial(ended, fork(partial(run_module, module[1], folder, environment)))
        else:
            shell = _make_cmd(get_executable(), command)
            wait = subprocess.Popen(shell, cwd=folder, env=environment).wait
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the stage hears it, DVC waits for its end
        try:
            return wait()
        finally:
            signal.signal(signal.SIGINT, handler)


def run_module(name: str, folder: str, environment: dict[str, str]) -> None:
    """As `python -m NAME` in this folder with this environment."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, folder)
    sys.argv = [name]
    gc.enable()
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def fork(function: Callable[[], object]) -> int:
    """Call `function` in a fork, which ends as a Python program would; return the process number."""
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        end_with(function)
    return child


def end_with(function: Callable[[], object]) -> NoReturn:
    """End this process with the exit code that `function` returns or raises."""
    code: object = 1
    try:
        code = function() or 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def ended(child: int) -> int:
    """The exit code of a child, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
