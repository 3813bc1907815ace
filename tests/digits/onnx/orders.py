"""Float32 arithmetic as runtimes might do it: sums in any order, in blocks, fused or flushed, and so on."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from digits.networks.classifier import Classifier
from digits.networks.convolutional import Convolutional

Single = NDArray[np.float32]
Sum = Callable[[Single], Single]
"""Adds up the last axis."""
Products = Callable[[Single, Single, Single], Single]
"""Inputs [m, 1, t], weights [u, t] and bias [u] to a layer's outputs [m, u]."""
TINY = np.float32(2**-126)


def forwards(terms: Single) -> Single:
    found: Single = np.add.accumulate(terms, axis=-1, dtype=np.float32)[..., -1]
    return found


def backwards(terms: Single) -> Single:
    return forwards(terms[..., ::-1])


def smallest_first(terms: Single) -> Single:
    return forwards(np.take_along_axis(terms, np.abs(terms).argsort(axis=-1), -1))


def largest_first(terms: Single) -> Single:
    return forwards(np.take_along_axis(terms, -np.abs(terms).argsort(axis=-1), -1))


def ascending(terms: Single) -> Single:
    return forwards(np.sort(terms, axis=-1))


def pairs(terms: Single) -> Single:
    while terms.shape[-1] > 1:
        if terms.shape[-1] % 2:
            terms = np.concatenate([terms, np.zeros_like(terms[..., :1])], axis=-1)
        terms = terms[..., ::2] + terms[..., 1::2]
    return terms[..., 0]


def compensated(terms: Single) -> Single:
    """Kahan's."""
    total, lost = np.zeros_like(terms[..., 0]), np.zeros_like(terms[..., 0])
    for term in np.moveaxis(terms, -1, 0):
        corrected = term - lost
        summed = total + corrected
        lost, total = (summed - total) - corrected, summed
    return total


def in_blocks(size: int) -> Sum:
    """`size` partial sums side by side, as vector units have them, then those."""

    def total(terms: Single) -> Single:
        gap = -terms.shape[-1] % size
        padded = np.concatenate([terms, np.zeros((*terms.shape[:-1], gap), np.float32)], axis=-1)
        lanes = np.moveaxis(padded.reshape(*terms.shape[:-1], -1, size), -2, -1)
        return forwards(forwards(lanes))

    return total


def shuffled(seed: int) -> Sum:
    def total(terms: Single) -> Single:
        return forwards(terms[..., np.random.default_rng(seed).permutation(terms.shape[-1])])

    return total


def of_products(total: Sum, bias_first: bool = False) -> Products:
    def outputs(inputs: Single, weights: Single, bias: Single) -> Single:
        products = inputs * weights
        last = np.broadcast_to(bias[:, None], (*products.shape[:-1], 1))
        return total(np.concatenate([last, products] if bias_first else [products, last], axis=-1))

    return outputs


def fused(inputs: Single, weights: Single, bias: Single) -> Single:
    """With fused multiply-add: the product is exact in float64."""
    total = np.broadcast_to(bias, (len(inputs), len(bias)))
    for i in range(weights.shape[1]):
        exact = inputs[..., i].astype(np.float64) * weights[:, i].astype(np.float64)
        total = (exact + total.astype(np.float64)).astype(np.float32)
    return total


def flushed(inputs: Single, weights: Single, bias: Single) -> Single:
    """Without subnormal numbers, neither in nor out."""

    def flush(values: Single) -> Single:
        return np.where(np.abs(values) < TINY, np.float32(0), values)

    total = np.broadcast_to(flush(bias), (len(inputs), len(bias)))
    for i in range(weights.shape[1]):
        total = flush(total + flush(flush(inputs[..., i]) * flush(weights[:, i])))
    return total


ORDERS: dict[str, Products] = {
    "forwards": of_products(forwards),
    "bias first": of_products(forwards, bias_first=True),
    "backwards": of_products(backwards),
    "smallest first": of_products(smallest_first),
    "largest first": of_products(largest_first),
    "ascending": of_products(ascending),
    "pairs": of_products(pairs),
    "compensated": of_products(compensated),
    **{f"blocks of {size}": of_products(in_blocks(size)) for size in (2, 3, 4, 8, 16, 32, 64)},
    **{f"shuffled {seed}": of_products(shuffled(seed)) for seed in range(3)},
    "fused": fused,
    "flushed": flushed,
}


def divided(images: NDArray[np.uint8], mean: np.float32, std: np.float32) -> Single:
    found: Single = (images.astype(np.float32) / np.float32(255) - mean) / std
    return found


def multiplied(images: NDArray[np.uint8], mean: np.float32, std: np.float32) -> Single:
    one = np.float32(1)
    found: Single = (images.astype(np.float32) * (one / np.float32(255)) - mean) * (one / std)
    return found


NORMALIZATIONS = {"divided": divided, "multiplied": multiplied}


def as_defined(logits: Single) -> Single:
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: Single = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def by_its_sum(logits: Single) -> Single:
    largest = logits.max(axis=1, keepdims=True)
    found: Single = logits - (largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True)))
    return found


def without_largest(logits: Single) -> Single:
    found: Single = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return found


def log_of_softmax(logits: Single) -> Single:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Single = np.log(powers / powers.sum(axis=1, keepdims=True))
    return found


LOG_SOFTMAXES = {
    "as defined": as_defined,
    "by its sum": by_its_sum,
    "without largest": without_largest,
    "log of softmax": log_of_softmax,
}


def answers(
    classifier: Classifier,
    images: NDArray[np.uint8],
    products: Products,
    normalization: str = "divided",
    log_softmax: str = "as defined",
) -> Single:
    """Log-probabilities [n, 10] of a classifier, each layer's sums computed so."""
    mean, std = np.float32(classifier.mean.item()), np.float32(classifier.std.item())
    if normalization == "folded":
        values, bias = images.astype(np.float32), _folded_bias(classifier, products, mean / std)
    else:
        values, bias = NORMALIZATIONS[normalization](images, mean, std), None
    if isinstance(classifier.net, Convolutional):
        logits = _convolutional(classifier.net, values, products)
    else:
        linear = [m for m in classifier.net.children() if isinstance(m, nn.Linear)]
        values = values.reshape(len(values), -1)
        for i, module in enumerate(linear):
            weight, shift = _numbers(module.weight), _numbers(module.bias)
            if i == 0 and bias is not None:
                weight, shift = weight * (np.float32(1) / (np.float32(255) * std)), bias
            values = products(values[:, None], weight, shift)
            values = values if i == len(linear) - 1 else np.maximum(values, 0)
        logits = values
    found: Single = LOG_SOFTMAXES[log_softmax](logits)
    return found


def _folded_bias(classifier: Classifier, products: Products, paper: np.float32) -> Single:
    """The first layer's bias with the mean in it, in float32."""
    first = next(m for m in classifier.net.children() if isinstance(m, nn.Linear))
    blank = np.full((1, 1, first.in_features), -paper, np.float32)
    found: Single = products(blank, _numbers(first.weight), _numbers(first.bias))[0]
    return found


def _convolutional(net: Convolutional, values: Single, products: Products) -> Single:
    for module in net.layers:
        if isinstance(module, nn.Conv2d):
            parts = zip(
                np.split(values, module.groups, axis=1), module.weight.chunk(module.groups), strict=True
            )
            values = np.concatenate([_convolved(module, *part, products) for part in parts], axis=1)
        elif isinstance(module, nn.BatchNorm2d):
            values = _normalized(module, values)
        else:
            values = np.maximum(values, 0)
    none = np.zeros(1, np.float32)
    pixels = values.reshape(-1, 1, values.shape[2] * values.shape[3])
    sums = products(pixels, np.ones((1, pixels.shape[2]), np.float32), none)
    means = (sums / np.float32(pixels.shape[2])).reshape(len(values), -1)
    return products(means[:, None], _numbers(net.output.weight), _numbers(net.output.bias))


def _convolved(module: nn.Conv2d, values: Single, weights: Tensor, products: Products) -> Single:
    assert isinstance(module.padding[0], int)
    patches = functional.unfold(
        torch.from_numpy(np.ascontiguousarray(values)),
        module.kernel_size[0],
        padding=module.padding[0],
        stride=module.stride[0],
    ).numpy()  # [n, terms, places]
    weight = _numbers(weights).reshape(len(weights), -1)
    rows = np.ascontiguousarray(np.moveaxis(patches, 1, 2)).reshape(-1, 1, weight.shape[1])
    found = products(rows, weight, np.zeros(len(weight), np.float32))
    side = int(patches.shape[2] ** 0.5)
    return np.moveaxis(found.reshape(len(values), side, side, -1), -1, 1)


def _normalized(norm: nn.BatchNorm2d, values: Single) -> Single:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance, scale, shift = (
        _numbers(numbers)[:, None, None]
        for numbers in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    factors = (np.float32(1) / np.sqrt(variance + np.float32(norm.eps))).astype(np.float32)
    found: Single = (values - mean) * factors * scale + shift
    return found


def _numbers(parameter: Tensor) -> Single:
    found: Single = parameter.detach().numpy()
    return found
