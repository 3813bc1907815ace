"""A `dvc` that loads once for many commands; each line of its standard input is one, as a JSON list.

Most stages load PyTorch for longer than they work. So each command runs in a fork of this process, and a
stage `python -m MODULE` in a fork of that; while one works, this process loads the libraries that the next
will need. Only libraries are loaded ahead: the project's own modules are read when the stage runs, as DVC
hashes them. After each command comes END with its exit code.
"""

import gc
import importlib
import json
import os
import re
import runpy
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

gc.disable()  # in this process, which makes nothing but what stays

import dvc.stage.run  # type: ignore[import-untyped]  # noqa: E402
from dvc.cli import main  # type: ignore[import-untyped]  # noqa: E402
from dvc.exceptions import DvcException  # type: ignore[import-untyped]  # noqa: E402
from dvc.repo import Repo  # type: ignore[import-untyped]  # noqa: E402
from dvc.stage.exceptions import StageCmdFailedError  # type: ignore[import-untyped]  # noqa: E402

END = "\x1e"
# What each command leaves time for. `stages` says how PyTorch's libraries are to be loaded.
AHEAD = [
    ["stages", "torch"],
    ["safetensors.torch", "onnxruntime", "matplotlib.figure"],
    ["onnxscript", "torch._dynamo"],
]
FORKS = sys.platform == "linux"  # elsewhere it is not reliable

run_in_shell = dvc.stage.run._run
at_work: list[int] = []
interrupted: list[bool] = []


def serve() -> None:
    """Run the commands of standard input one after the other, until it ends."""
    commands = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a stage has nothing to read
    signal.signal(signal.SIGINT, interrupt)
    if FORKS:
        dvc.stage.run._run = run
    with suppress(DvcException), Repo() as repo:
        len(repo.index.stages)  # only to load what every command needs; each reads the files anew
    for line in commands:
        arguments = json.loads(line)
        if FORKS:
            at_work.append(fork(partial(main, arguments)))
            for name in AHEAD.pop(0) if AHEAD else []:
                load(name)
        else:
            command = [sys.executable, "-m", "dvc", *arguments]
            at_work.append(os.posix_spawn(sys.executable, command, os.environ))
        code = ended(at_work[0])
        at_work.clear()
        if interrupted:
            break
        print(f"{END}{code}", flush=True)


def interrupt(*_: object) -> None:
    """The command at work hears the interrupt, too; this process ends when that has ended well."""
    if not at_work:
        os._exit(130)
    interrupted.append(True)


def run(executable: str, command: str, **kwargs: Any) -> None:
    """As DVC's own, but a Python module runs in a fork of this process."""
    module = re.fullmatch(r"python -m ([\w.]+)", command)
    if not module:
        run_in_shell(executable, command, **kwargs)
        return
    child = fork(partial(run_module, module[1], kwargs["cwd"], kwargs["env"]))
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the stage hears it, DVC waits for its end
    try:
        code = ended(child)
    finally:
        signal.signal(signal.SIGINT, handler)
    if code:
        raise StageCmdFailedError(command, code)


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
    """The exit code of a fork, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def load(name: str) -> None:
    sys.path.insert(0, os.getcwd())
    with suppress(ImportError):
        importlib.import_module(name)
    sys.path.pop(0)
    sys.modules.pop("stages", None)  # the project's own code is read when a stage runs


if __name__ == "__main__":
    serve()
    os._exit(130 if interrupted else 0)  # without taking everything down piece by piece
