"""All of params.yaml, put together from the sections that the rooms own; recipes.

For who starts the work: a stage reads its own sections alone.
"""
