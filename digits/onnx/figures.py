"""Numbers as a certificate has them."""

from typing import Any

import numpy as np


def short(value: float | np.floating[Any]) -> float:
    """Six digits: the others would differ between processors."""
    return float(f"{value:.6g}")
