"""How many predictions of a smaller model are certain to be those of the float32 one, in any runtime."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.data.datasets import evenly
from digits.onnx import half, quantized
from digits.onnx.bound import Bounds
from digits.onnx.figures import short
from digits.onnx.proven import Proven, differences, parts_of

BOUNDS: Mapping[str, Callable[[bytes, NDArray[np.uint8]], Bounds]] = {
    "float16": half.bounds,
    "int8": quantized.bounds,
}


def facts(
    name: str,
    small: bytes,
    images: NDArray[np.uint8],
    answers: NDArray[np.floating],
    single: Proven,
) -> dict[str, Any]:
    """What is certain of a smaller model, for the images that `single` has the bounds of, or some of them.

    Args:
        name: its format.
        small: its file.
        images: all raw images, uint8 [n, 1, 28, 28].
        answers: a runtime's log-probabilities of all images, [n, classes].
        single: the float32 model.

    Raises:
        UnknownNetworkError: no bound is known for this kind of network.
    """
    some = evenly(len(single.images), half.affordable(small) if name == "float16" else len(single.images))
    numbers, expected = single.images[some], Bounds(*(part[some] for part in single.bounds))
    chosen = images[numbers]
    found = BOUNDS[name](small, chosen)
    exact = differences(found.logits)
    errors = np.abs(differences(answers[numbers].astype(np.float64)) - exact)
    parts = parts_of(errors, found.differences)
    rows = np.arange(len(chosen))
    apart = np.abs(exact - differences(expected.logits)) + found.differences
    largest = apart[rows, expected.digits].max(axis=1)
    same, both = found.digits == expected.digits, found.certain & expected.certain
    more = {}
    if name == "float16":
        strict = half.bounds(small, chosen, half.HALF)
        more["certain_with_sums_in_float16"] = int(strict.certain.sum())
    return {
        "images_bounded": len(chosen),
        "certain": int(found.certain.sum()),
        **more,
        "certain_to_agree": int((both & same).sum()),
        "certain_to_differ": int((both & ~same).sum()),
        "median_difference_bound": short(float(np.median(largest))),
        "largest_difference_bound": short(float(largest.max())),
        "part_of_bound": short(float(parts.max())),
    }
