"""The page of a run: what it shows, and how a drawing becomes an image.

Its sources are in web/page; preparation.py is the twin of prepare.js there.
"""
