"""What a program says, for a file that it goes to."""

import os


class OutputError(Exception):
    """What takes it does not, such as a disk that is full; `str` is one line."""


def say(text: str) -> None:
    """Print it, and see that it is out.

    Raises:
        OutputError: it is not.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python tries again as it ends
        raise OutputError(f"standard output: {error.strerror}") from error
