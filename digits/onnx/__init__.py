"""The model that leaves the house: export, the proof of what it computes, smaller forms.

Parity holds every runtime of `digits.runtimes` against PyTorch in float64.
"""
