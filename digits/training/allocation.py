"""Memory that a step has freed stays with the process, for the next step to take."""

import ctypes
import sys

# Of glibc's malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGEST = 32 * 2**20
"""Bytes: the most that all versions of glibc accept."""


def keep_freed() -> None:
    """From now on, memory that is freed in pieces of up to 32 MiB is not given back to the kernel.

    A convolutional network takes and frees tens of megabytes in a step. Each time, the kernel would fill them
    with zeros: a sixth of the step. The peak is the same. Nothing happens where the C library is not glibc.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
