"""Schedules of the learning rate, one a file, chosen by `train.schedule`; see `digits.training.schedule`."""
