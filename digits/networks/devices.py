"""The device to work on, and the same result on it every time."""

import os
import sys

import torch

from digits.common.errors import DigitsError


class DeviceError(DigitsError):
    """The device asked for is not here."""


def choose(name: str) -> torch.device:
    """The device that `train.device` means: `auto` is CUDA where there is a GPU, the CPU elsewhere.

    Raises:
        DeviceError: `cuda` is asked for and PyTorch finds none.
    """
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        raise DeviceError(
            f"train.device is 'cuda', but PyTorch {torch.__version__} ({built}) finds no GPU here; "
            "allowed: auto, cpu"
        )
    return torch.device("cuda" if present and name != "cpu" else "cpu")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def warn_of_threads(threads: int) -> None:
    """Tell the user, on the standard error, of more threads than cores: the training hardly moves then."""
    if threads > (there := cores()):
        print(
            f"warning: train.threads is {threads}, but this process may use {there} of the cores; "
            f"threads that wait for one make each step many times slower; set it to at most {there}",
            file=sys.stderr,
        )


def make_deterministic(threads: int) -> None:
    """Choose algorithms that give the same bits every time, on this many CPU threads.

    Must run before the first CUDA work. What another kind of CPU computes differently is fixed as far as
    possible by the variables that `stages` sets before torch is imported.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # As use_deterministic_algorithms(True), which would load the compiler first: a second at every start.
    torch.set_deterministic_debug_mode("error")
    # No memory is read before it is written here, so none needs to be filled to make that repeatable.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_num_threads(threads)
