"""The images: where they are fetched, how they are read, normalized and set aside.

It needs numpy alone, so stages without a network load no torch.
"""
