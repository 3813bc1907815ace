"""The model of rounding that the error bounds rest on. docs/proof.md has the theorem.

The model, and gamma, are those of N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition,
chapters 2 and 3.
"""

import math

from torch import Tensor

from digits.onnx.layers import Layer

UNIT = 2.0**-24
"""The unit roundoff of float32, to nearest."""
MISSED = 2.0**-33
"""What float64 can miss of sums whose terms have signs, as a part of their absolute sum: 2²⁰ roundings."""
OUTWARD = 1 + 2.0**-20
"""Pays for that: errors of float64 are 2⁻²⁹ of those that are bounded, and sums of positive numbers exact
to 1e-12 of their value."""
UNDERFLOW = 2.0**-80
"""What flushing subnormal numbers to zero, below 2⁻¹²⁶ each, can come to in a term of ordinary size."""
OVERFLOW = 2.0**100
"""Above this nothing is promised; float32 ends at 2¹²⁸."""
SPREAD, CONSTANT = 16.0, 64.0
"""Of log-softmax: so many units for each unit of distance to the largest logit, and so many besides."""


def gamma(roundings: int, unit: float = UNIT) -> float:
    """nu / (1 - nu): the most by which n roundings change a number, relatively; inf where nu >= 1."""
    return roundings * unit / (1 - roundings * unit) if roundings * unit < 1 else math.inf


def of_log_softmax(
    distances: Tensor,
    errors: Tensor,
    unit: float = UNIT,
    spread: float = SPREAD,
    constant: float = CONSTANT,
) -> Tensor:
    """What log-softmax adds to the error of a difference, by distances [n, classes] from the largest logit.

    Args:
        errors: of the differences of logits, [n, classes, classes].
        unit: the unit roundoff.
        spread: how many of its roundings grow with the distance.
        constant: how many do not.
    """
    own = unit * (spread * (distances + errors.amax(2)) + constant)
    return own[:, :, None] + own[:, None, :]


def underflow(layer: Layer, inputs: Tensor) -> float:
    """What flushing subnormal numbers to zero can come to in a layer whose inputs are at most so large."""
    return UNDERFLOW * layer.terms * layer.largest**2 * (1 + float(inputs.max()))
