"""Networks that classify images, one a file, chosen by `train.model`; see `digits.networks.model.Model`."""
