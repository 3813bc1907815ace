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
        self.scale = LEVELS / (LEVELS - dropped)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return input
        if input.device.type != "cpu":
            return functional.dropout(input, self.p)
        return input * self.factors(input.numel()).view(input.shape).to(input.dtype)

    def factors(self, count: int) -> torch.Tensor:
        """What elements are multiplied with, 0 or `scale`: float32 [count], on the CPU."""
        words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[:count]
        # Compared as floats, for that is vectorized and gives 0 and 1 themselves.
        return bits.to(torch.float32).ge_(self._first_kept).mul_(self.scale)

    def extra_repr(self) -> str:
        return f"p={self.p}"
