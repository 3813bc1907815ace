"""PyTorch in the precision of the training: the yardstick."""

import torch

from digits.runtimes._pytorch import PyTorch


class PyTorchFloat32(PyTorch):
    precision = torch.float32
