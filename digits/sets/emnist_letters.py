"""The 26 letters of EMNIST, each class of upper and lower case together."""

from string import ascii_lowercase

from digits.data.emnist import Emnist


class EmnistLetters(Emnist):
    """The split `letters`."""

    title = "EMNIST letters"
    thing = "a letter"
    classes = tuple(ascii_lowercase)
    split = "letters"
    first = 1
