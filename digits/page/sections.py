"""The section of params.yaml that belongs to the page."""

from digits.common.numbers import PositiveInt
from digits.common.section import TopSection


class Report(TopSection):
    """What the page shows."""

    key = "report"

    mistakes: PositiveInt
