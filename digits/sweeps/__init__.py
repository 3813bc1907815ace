"""Many trainings with other values: what to try, and what came of it.

Running them is the business of `flows`.
"""
