"""One thin module per DVC stage: reads its dependencies, calls `digits`, writes its outputs."""

from digits.common import numerics  # noqa: F401 (before any stage loads torch)
