"""Numbers as a certificate has them."""


def short(value: float) -> float:
    """Six digits: the others would differ between processors."""
    return float(f"{value:.6g}")
