"""What was printed that is ours: Prefect and Ray tell of their own troubles, which a busy machine has."""

import re

HEADER = "Traceback (most recent call last):\n"
OF_LIBRARIES = ("site-packages", "dist-packages", "/lib/python3", "<frozen")


def own_tracebacks(printed: str) -> list[str]:
    """The tracebacks that go through code which is not a library's."""
    return [trace for trace in printed.split(HEADER)[1:] if _is_own(trace)]


def _is_own(trace: str) -> bool:
    frames = re.findall(r'^\s*(?:\|\s*)?File "(.*?)", line \d+', trace, re.MULTILINE)
    return any(not any(part in frame for part in OF_LIBRARIES) for frame in frames)
