"""A handwritten-digit classifier, in rooms: docs/architecture.md has the plan."""

from digits.common import numerics  # noqa: F401 (decides how torch computes, and must come before it)
