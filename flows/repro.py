"""A `dvc` that loads once for many commands; each line of its standard input is one, as a JSON list.

Most stages load PyTorch for longer than they work. So each command runs in a fork of this process, and a
stage `python -m MODULE` in a fork of that; while one works, this process loads the libraries that the next
will need. Only libraries are loaded ahead: the project's own modules are read when the stage runs, as DVC
hashes them. After each command comes END with its exit code. Arguments: settings as JSON, then, optionally, a
single command. The settings are `containers`, null or the fields of a `ContainerRunner`, and `secrets`, the
names of environment variables that are for DVC alone.
"""

import gc
import importlib
import json
import os
import select
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

gc.disable()  # in this process, which makes nothing but what stays

import dvc.stage.run  # type: ignore[import-untyped]  # noqa: E402
import dvc.utils.serialize._yaml  # type: ignore[import-untyped]  # noqa: E402
from dvc.cli.parser import get_main_parser  # type: ignore[import-untyped]  # noqa: E402
from dvc.repo import Repo  # type: ignore[import-untyped]  # noqa: E402
from dvc.stage.exceptions import StageCmdFailedError  # type: ignore[import-untyped]  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))
from flows import lock_file, run_cache  # noqa: E402
from flows.runners import Runner  # noqa: E402
from flows.runners.process import ProcessRunner, end_with, ended, fork  # noqa: E402

sys.path.pop(0)  # the workspace's own code is for its stages to load

END = "\x1e"
# What each command leaves time for. `stages` says how PyTorch's libraries are to be loaded.
AHEAD = [
    ["stages", "torch"],
    ["safetensors.torch", "onnxruntime", "matplotlib.figure"],
    ["onnxscript.function_libs.torch_lib.ops", "torch._dynamo", "torch.export._trace"],
]
FORKS = sys.platform == "linux"  # elsewhere it is not reliable

at_work: list[int] = []
interrupted: list[bool] = []


def serve(settings: str) -> None:
    """Run the commands of standard input one after the other, until it ends."""
    commands = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a stage has nothing to read
    signal.signal(signal.SIGINT, interrupt)
    chosen = json.loads(settings)
    if FORKS:
        configure(chosen)
    load_dvc()
    for line in commands:
        arguments = json.loads(line)
        if FORKS:
            at_work.append(fork(partial(run_cache.main, arguments)))
            stage_at_work = arguments[0] not in run_cache.COMMANDS and not chosen["containers"]
            for name in AHEAD.pop(0) if AHEAD and stage_at_work else []:
                load(name)
        else:
            command = [sys.executable, "-P", __file__, settings, line]
            at_work.append(os.posix_spawn(sys.executable, command, os.environ))
        if FORKS:
            attend(at_work[0], commands.fileno())
        code = ended(at_work[0])
        at_work.clear()
        if interrupted:
            break
        print(f"{END}{code}", flush=True)


def attend(child: int, commands: int) -> None:
    """Return when `child` has ended; should the guard die, whose end closes `commands`, end all of this."""
    descriptor = os.pidfd_open(child)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.register(commands, 0)  # of a pipe, the end is told in any case
    if any(number == commands for number, _ in poll.poll()):
        os.killpg(0, signal.SIGKILL)
    os.close(descriptor)


def interrupt(*_: object) -> None:
    """The command at work hears the interrupt, too; this process ends when that has ended well."""
    if not at_work:
        os._exit(130)
    interrupted.append(True)


def configure(settings: dict[str, Any]) -> None:
    """Let DVC use our parser, and run stages through a runner instead of a shell of its own."""
    dvc.utils.serialize._yaml.parse_yaml_for_update = lock_file.parse_for_update
    runner: Runner = ProcessRunner()
    if settings["containers"]:
        from flows.runners.container import ContainerRunner  # Docker's library is not for everyone

        runner = ContainerRunner.model_validate(settings["containers"])
    elif not FORKS:
        return

    def run(_executable: str, command: str, **kwargs: Any) -> None:
        environment = {
            name: value for name, value in kwargs["env"].items() if name not in settings["secrets"]
        }
        if code := runner.run(command, kwargs["cwd"], environment):
            raise StageCmdFailedError(command, code)

    dvc.stage.run._run = run


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


if __name__ == "__main__":
    if len(sys.argv) > 2:
        configure(json.loads(sys.argv[1]))
        end_with(partial(run_cache.main, json.loads(sys.argv[2])))
    serve(sys.argv[1])
    os._exit(130 if interrupted else 0)  # without taking everything down piece by piece
