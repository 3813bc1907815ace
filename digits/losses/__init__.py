"""Losses, one a file, chosen by `train.loss`; see `digits.training.loss.Loss`."""
