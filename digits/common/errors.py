"""What a user can mend."""


class DigitsError(Exception):
    """Something a user can mend; `str` says what was wrong, where, and what to do, in one line each."""
