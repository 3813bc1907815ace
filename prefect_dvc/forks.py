"""A `dvc` that loads once for many commands; each line of its standard input is one, as a JSON list.

Many stages load a library for longer than they work. So each command runs in a fork of this process, and a
stage `python -m MODULE` in another; while one works, this process loads the libraries that the next needs.
Only libraries are loaded ahead: the project's own modules are read when the stage runs, as DVC hashes them.
After each command comes END with its exit code. With an argument, it is a single command. The settings are in
the environment (`shell.LANE`): DVC tells others the command line of whoever holds what they need.
"""

import gc
import importlib
import json
import os
import runpy
import secrets
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

gc.disable()  # in this process, which makes nothing but what stays

from dvc.cli.parser import get_main_parser  # type: ignore[import-untyped]  # noqa: E402
from dvc.repo import Repo  # type: ignore[import-untyped]  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))
from prefect_dvc import commands, shell  # noqa: E402

sys.path.pop(0)  # the workspace's own code is for its stages to load

END = "\x1e"
FORKS = sys.platform == "linux"  # elsewhere it is not reliable
LONGEST_REQUEST = 1 << 20  # bytes; an environment

at_work: list[int] = []
interrupted: list[bool] = []


def serve(settings: dict[str, Any]) -> None:
    """Run the commands of standard input one after the other, until it ends."""
    lines = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a stage has nothing to read
    signal.signal(signal.SIGINT, interrupt)
    chosen = dict(settings)
    ahead = chosen.pop("ahead")
    in_forks = FORKS and not chosen["containers"]
    load_dvc()
    for line in lines:
        arguments = json.loads(line)
        if FORKS:
            stages = StageForks() if in_forks and ahead is not None else None
            configure(chosen, stages.address if stages else None)
            at_work.append(fork(partial(commands.main, arguments)))
            if stages and ahead and "repro" in arguments:
                attend(at_work[0], lines.fileno(), stages.begun)
                for name in ahead.pop(0) if stages.has_begun() else []:
                    load(name)
            attend(at_work[0], lines.fileno())
        else:
            command = [sys.executable, "-P", __file__, line]
            stages = None
            own = {**os.environ, shell.LANE: json.dumps(settings)}
            at_work.append(os.posix_spawn(sys.executable, command, own))
        code = ended(at_work[0])
        at_work.clear()
        if stages:
            stages.close()
        if interrupted:
            break
        print(f"{END}{code}", flush=True)


class StageForks:
    """A fork of this process as it is now, which forks again for each stage of the next command.

    It is a process of its own because this one will be busy loading. Whoever asks for a stage sends its
    standard streams, then what to run, and gets the exit code; whoever runs it otherwise only connects.
    """

    def __init__(self) -> None:
        self.address = f"prefect-dvc-{secrets.token_hex(16)}"
        self.begun, self._tell = os.pipe()
        """To be read as soon as a stage begins; where DVC restores what it has made, none does."""
        # In the abstract namespace, where nothing is left behind, whoever is killed.
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"\0{self.address}")
            listener.listen()
            self._process = fork(partial(self._serve, listener))
        os.close(self._tell)

    def has_begun(self) -> bool:
        return bool(select.select([self.begun], [], [], 0)[0])

    def close(self) -> None:
        os.kill(self._process, signal.SIGKILL)
        ended(self._process)
        os.close(self.begun)

    def _serve(self, listener: socket.socket) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the stages to hear
        while True:
            connection, _ = listener.accept()
            os.write(self._tell, b".")
            with connection:
                # Of the process at the other end: its number, its user and its group.
                peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                if struct.unpack("3i", peer)[1] == os.getuid():
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        _, streams, _, _ = socket.recv_fds(connection, len(b"stage"), 3)
        if not streams:
            return
        request = json.loads(connection.makefile().read(LONGEST_REQUEST))
        child = fork(partial(run_module, streams=streams, **request))
        for stream in streams:
            os.close(stream)
        connection.sendall(str(ended(child)).encode())


def attend(child: int, lines: int, *others: int) -> None:
    """Return when `child` has ended, or one of the others can be read.

    Should the guard die, whose end closes `lines`, end all of this.
    """
    descriptor = os.pidfd_open(child)
    poll = select.poll()
    for each in (descriptor, *others):
        poll.register(each, select.POLLIN)
    poll.register(lines, 0)  # of a pipe, the end is told in any case
    if any(number == lines for number, _ in poll.poll()):
        os.killpg(0, signal.SIGKILL)
    os.close(descriptor)


def interrupt(*_: object) -> None:
    """The command at work hears the interrupt, too; this process ends when that has ended well."""
    if not at_work:
        os._exit(130)
    interrupted.append(True)


def configure(settings: dict[str, Any], forks: str | None) -> None:
    """Let DVC run stages through our shell."""
    os.environ["SHELL"] = str(shell.PROGRAM)
    os.environ[shell.PYTHON] = sys.executable
    os.environ[shell.SETTINGS] = json.dumps(settings | {"forks": forks})


def load_dvc() -> None:
    """Load what every command of DVC needs; each reads the files anew."""
    # Whatever is wrong here, the command that needs it meets it again, and says so.
    with suppress(Exception), Repo() as repo:
        get_main_parser()
        len(repo.index.stages)


def load(name: str) -> None:
    """Load a library ahead of the stage that needs it; one that cannot be loaded is left to that stage."""
    before, folder = set(sys.modules), os.getcwd()
    sys.path.insert(0, folder)
    loaded = False
    try:
        importlib.import_module(name)
        loaded = True
    except BaseException:  # a library may raise anything, SystemExit too, which would end the stage at work
        pass
    sys.path.remove(folder)
    for module in set(sys.modules) - before:
        # The half of a library would mislead its stage; the project's own code is read when a stage runs.
        if not loaded or is_own(module, folder):
            del sys.modules[module]


def is_own(module: str, folder: str) -> bool:
    """Whether a module is the project's in this folder."""
    top = os.path.join(folder, module.partition(".")[0])
    return os.path.isdir(top) or os.path.isfile(f"{top}.py")


def run_module(module: str, folder: str, environment: dict[str, str], streams: list[int]) -> None:
    """As `python -m MODULE` in this folder with this environment and these standard streams."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, folder)
    sys.argv = [module]
    gc.enable()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


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


if __name__ == "__main__":
    given = json.loads(os.environ.pop(shell.LANE))
    if sys.argv[1:]:
        del given["ahead"]
        configure(given, None)
        end_with(partial(commands.main, json.loads(sys.argv[1])))
    serve(given)
    os._exit(130 if interrupted else 0)  # without taking everything down piece by piece
