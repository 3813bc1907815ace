"""The `$SHELL` of DVC, `shell -c COMMAND`: hands the command of a stage to whoever is to run it.

DVC runs every command through `$SHELL`, which is how a stage gets into a fork that has its libraries loaded,
or into a container, while DVC does all the rest. The stage sees the environment that it would see without
this: what is for this program, and what is for DVC alone, is taken out.
Needs the standard library only, so that it starts in a few hundredths of a second.
"""

import json
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

PROGRAM = Path(__file__).with_name("shell")
PYTHON = "PREFECT_DVC_PYTHON"
SETTINGS = "PREFECT_DVC_SHELL"
"""In the environment, a JSON object: `shell`, the user's own or null; `secrets`, the names of variables that
are for DVC alone; `visible`, null or a regular expression of the names of all that a process sees;
`containers`, null or the fields of a `ContainerRunner`; `forks`, null or where to ask for one."""
LANE = "PREFECT_DVC_LANE"
"""Likewise, what forks.py has to know: all of that but `forks`, and `ahead`, the lists of modules to load."""
MODULE = re.compile(r"python -m ([\w.]+)")
OPTIONS = {"zsh": ["--no-rcs"], "bash": ["--noprofile", "--norc"], "fish": ["--no-config"]}
"""With which DVC keeps shells from reading a user's configuration."""
CONTAINER = Path(__file__).parent / "runners/container.py"


def main(command: str) -> int:
    """Run the command of a stage; return its exit code."""
    settings: dict[str, Any] = json.loads(os.environ[SETTINGS])
    for name in (SETTINGS, PYTHON, "SHELL", *settings["secrets"]):
        os.environ.pop(name, None)
    if settings["shell"]:
        os.environ["SHELL"] = settings["shell"]
    if settings["visible"] and not settings["containers"]:  # these have an expression of their own
        for name in [name for name in os.environ if not re.fullmatch(settings["visible"], name)]:
            del os.environ[name]
    if settings["containers"]:
        described = json.dumps(settings["containers"])
        os.execv(sys.executable, [sys.executable, "-P", str(CONTAINER), described, command])
    if settings["forks"]:
        with socket.socket(socket.AF_UNIX) as forks:
            forks.connect(f"\0{settings['forks']}")  # which tells it that a stage begins
            if module := MODULE.fullmatch(command):
                return _in_fork(forks, module[1])
    _in_shell(settings["shell"] or "/bin/sh", command)


def _in_fork(forks: socket.socket, module: str) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the stage hears it, and its end is waited for
    request = {"module": module, "folder": os.getcwd(), "environment": dict(os.environ)}
    socket.send_fds(forks, [b"stage"], [0, 1, 2])
    forks.sendall(json.dumps(request).encode())
    forks.shutdown(socket.SHUT_WR)
    answer = forks.makefile().read()
    code = int(answer) if answer else 128 + signal.SIGKILL  # who was to fork is dead
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)  # end as the stage did
    return code


def _in_shell(shell: str, command: str) -> NoReturn:
    os.execv(shell, [shell, *OPTIONS.get(os.path.basename(shell).lower(), []), "-c", command])


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
