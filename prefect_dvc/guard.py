"""Runs a command that must not outlive its caller: `python guard.py COMMAND ...`.

The caller holds the other end of this program's standard input; what it writes there goes to the command.
When that end closes, because the caller asked for a stop or died, every process of the command's group is
stopped: INT, then TERM, then KILL.
Needs the standard library only, so that it starts in a few hundredths of a second.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

GRACE_SECONDS = 3.0  # between one signal and the next, harder one


def main(command: list[str]) -> int:
    """Run `command` in a session of its own; return its exit code, negative for a signal."""
    # A shell's background job ignores SIGINT and would hand that on; a reset here makes INT work below.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    begun = threading.Event()
    told, tell = os.pipe()

    def stop() -> None:
        os.read(told, 1)
        begun.wait()
        stop_group(child.pid)

    # In threads, for this one has to collect the child, or the group would never be empty. And before there
    # is a child: who is told to stop just then would leave it behind. By a pipe, for a handler in Python
    # runs when this thread is back from a wait, which is never where the signal comes just before that.
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    _in_thread(stop)
    child = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    begun.set()
    assert child.stdin is not None
    _in_thread(_hand_on_input, child.pid, child.stdin.fileno())
    code = child.wait()
    # Whatever the command left behind would keep the output pipe open, and write after its end.
    stop_group(child.pid)
    return code


def stop_group(group: int) -> None:
    """Stop every process of `group`; return when none is left (a zombie that nobody collects is one)."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + GRACE_SECONDS
        try:
            os.killpg(group, number)
            while time.monotonic() < deadline:
                time.sleep(0.02)
                os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return


def _in_thread(function: Callable[..., None], *arguments: int) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


def _hand_on_input(group: int, target: int) -> None:
    # os.read, for a buffered read would hold a lock that the interpreter needs to exit.
    while data := os.read(0, 1024):
        with suppress(BrokenPipeError):  # the command has ended
            os.write(target, data)
    stop_group(group)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)
