"""Prefect over any DVC project: its stages as tasks of a flow, and what they depend on decides what runs.

`repro` is the flow; `prefect-dvc` is the same at the command line.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect_dvc.flow import repro

__all__ = ["repro"]


def __getattr__(name: str) -> Any:
    # Not at once, for the command line starts a server while Prefect is loaded, and children need none of it.
    if name == "repro":
        from prefect_dvc.flow import repro

        return repro
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
