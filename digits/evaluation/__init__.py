"""What a model is worth on images that it has not seen: figures and pictures.

They are reports; nothing is chosen by them.
"""
