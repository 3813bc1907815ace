"""Sets of images, one a file, chosen by `data.set`; see `digits.data.data_set.DataSet`."""
