"""A process to which, and to whose children, the kernel gives neither hard nor symbolic links, as on exFAT.

`python -m tests.flows.linkless COMMAND…`
"""

import ctypes
import errno
import os
import platform
import struct
import sys

CALLS = {"x86_64": (86, 88, 265, 266), "aarch64": (36, 37)}
"""link, symlink, linkat and symlinkat, by their numbers on each architecture."""
LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_links() -> None:
    """Let the kernel refuse them from now on: seccomp(2), with a filter of classic BPF."""
    calls = CALLS[platform.machine()]
    steps = [(LOAD, 0, 0, 0)]
    steps += [(EQUALS, len(calls) - number, 0, call) for number, call in enumerate(calls)]
    steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE | errno.EPERM)]
    program = _Program(len(steps), b"".join(struct.pack("HBBI", *step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SECCOMP, FILTER, ctypes.byref(program), 0, 0)):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), "the kernel knows no seccomp")


if __name__ == "__main__":
    refuse_links()
    os.execvp(sys.argv[1], sys.argv[1:])
