"""What every room stands on: errors, files, locks, progress, sections of params.yaml, choices, commands.

It knows nothing of digits, and loads no torch.
"""
