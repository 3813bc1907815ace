"""Has the kernel refuse system calls of a process and what it starts: seccomp(2), a filter of classic BPF."""

import ctypes
import struct
from collections.abc import Sequence

LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # to the latter comes the number of an error
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install(steps: Sequence[tuple[int, int, int, int]]) -> None:
    """Filter all system calls from now on.

    Args:
        steps: an operation, how many steps to leave out where it holds and where not, and its value.

    Raises:
        OSError: the kernel takes no filter.
    """
    program = _Program(len(steps), b"".join(struct.pack("HBBI", *step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SECCOMP, FILTER, ctypes.byref(program), 0, 0)):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), "the kernel knows no seccomp")
