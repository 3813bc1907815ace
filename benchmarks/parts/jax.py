"""One epoch of the training loop against the same training in JAX on one thread, compiling apart.

The same network, batch, dropout and solver, jitted with the whole epoch in one `lax.scan`, the images on the
device. `pip install '.[jax]'` installs it.
"""

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from benchmarks.figures import Figure, Part, SkippedError, medians
from benchmarks.options import Options
from benchmarks.turns import in_turns, ratios

AT_MOST = 1.0
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def measure(options: Options) -> Part:
    if not importlib.util.find_spec("jax"):
        raise SkippedError("JAX is not installed; pip install '.[jax]'")
    os.environ |= {"XLA_FLAGS": ONE_THREAD, "JAX_PLATFORMS": "cpu"}
    # Its threads, which those flags do not all reach, stay on the core that this one has when they begin.
    cores = os.sched_getaffinity(0) if sys.platform == "linux" else set[int]()
    if cores:
        os.sched_setaffinity(0, {min(cores)})
    import jax

    from benchmarks import step

    # The cheapest of its generators.
    jax.config.update("jax_default_prng_impl", "unsafe_rbg")
    values, data = step.values(), step.examples()
    began = time.perf_counter()
    training = Training(step.layer_sizes(values), values, data.images.numpy(), data.labels.numpy())
    first = training.epoch()
    compiled = time.perf_counter() - began
    if cores:
        os.sched_setaffinity(0, cores)
    taken = in_turns({"PyTorch": step.epoch(values, data), "JAX": training.epoch}, options.repeats)
    began, worked = time.perf_counter(), time.process_time()
    last = training.epoch()
    kept = (time.process_time() - worked) / (time.perf_counter() - began)
    figure = Figure("epoch / JAX's, without its compiling", ratios(taken["PyTorch"], taken["JAX"]), AT_MOST)
    notes = [
        f"JAX {jax.__version__} compiled for {compiled:.1f} s, its first epoch included",
        f"JAX kept {kept:.2f} cores at work; its loss fell from {first:.3f} to {last:.3f}",
    ]
    return Part([figure], medians(taken), notes)


class Training:
    """The default network in JAX; every call of `epoch` goes on from the last one."""

    def __init__(self, sizes: list[int], values: Any, images: Any, labels: Any) -> None:
        import jax
        import jax.numpy as jnp

        self._key = jax.random.key(values.train.seed)
        self._weights = [
            _layer(jax.random.fold_in(self._key, number), *pair)
            for number, pair in enumerate(pairwise(sizes))
        ]
        self._images, self._labels = jnp.asarray(images.reshape(len(images), -1)), jnp.asarray(labels)
        self._epoch = _compiled(
            values.train.batch_size, values.model.dropout, values.solver.lr, values.solver.weight_decay
        )

    def epoch(self) -> float:
        """Train for one; returns the mean loss."""
        import jax

        self._key, key = jax.random.split(self._key)
        self._weights, losses = self._epoch(self._weights, self._images, self._labels, key)
        return float(losses.mean())  # which waits for it


def _layer(key: Any, inputs: int, outputs: int) -> tuple[Any, Any]:
    """Weights [inputs, outputs] and biases as `torch.nn.Linear` draws them."""
    import jax

    bound = inputs**-0.5
    keys = jax.random.split(key)
    weight = jax.random.uniform(keys[0], (inputs, outputs), minval=-bound, maxval=bound)
    return weight, jax.random.uniform(keys[1], (outputs,), minval=-bound, maxval=bound)


def _compiled(batch: int, dropout: float, rate: float, decay: float) -> Callable[..., Any]:
    """Of weights, images [n, 784], labels [n] and a key: new weights, and the loss of each step."""
    import jax
    import jax.numpy as jnp

    def loss(weights: Any, images: Any, labels: Any, key: Any) -> Any:
        values = images
        for number, (weight, bias) in enumerate(weights[:-1]):
            values = jax.nn.relu(values @ weight + bias)
            kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1 - dropout, values.shape)
            values = jnp.where(kept, values / (1 - dropout), 0)
        output = jax.nn.log_softmax(values @ weights[-1][0] + weights[-1][1])
        return -jnp.take_along_axis(output, labels[:, None], axis=1).mean()

    def epoch(weights: Any, images: Any, labels: Any, key: Any) -> Any:
        shuffle, drop = jax.random.split(key)
        steps = len(images) // batch
        order = jax.random.permutation(shuffle, len(images))[: steps * batch].reshape(steps, batch)

        def step(weights: Any, drawn: Any) -> Any:
            rows, key = drawn
            value, gradient = jax.value_and_grad(loss)(weights, images[rows], labels[rows], key)
            return jax.tree.map(lambda w, g: w - rate * (g + decay * w), weights, gradient), value

        return jax.lax.scan(step, weights, (order, jax.random.split(drop, steps)))

    compiled: Callable[..., Any] = jax.jit(epoch)
    return compiled
