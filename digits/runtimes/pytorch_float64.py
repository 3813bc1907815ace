"""PyTorch in float64: the oracle. Compared with itself, it shows what the batch size changes."""

import numpy as np
import torch

from digits.runtimes._pytorch import PyTorch


class PyTorchFloat64(PyTorch):
    precision = torch.float64
    dtype = np.float64
