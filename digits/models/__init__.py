"""Networks that tell digits apart, one a file, chosen by `train.model`; see `digits.networks.model.Model`."""
