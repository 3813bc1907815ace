"""The 280,000 handwritten digits of EMNIST."""

from digits.common.about import DIGITS
from digits.data.emnist import Emnist


class EmnistDigits(Emnist):
    """The split `digits`."""

    title = "EMNIST digits"
    thing = "a digit"
    classes = tuple(DIGITS)
    split = "digits"
