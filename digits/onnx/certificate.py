"""The certificate: every chosen runtime against PyTorch, in every configuration."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from digits.onnx.answers import Familiar, ParityError
from digits.onnx.figures import short
from digits.onnx.parity import Comparison, Expected, Reference
from digits.onnx.runtime import (
    Model,
    NoDeviceError,
    Runtime,
    RuntimeFailedError,
    RuntimeUnavailableError,
    find,
)
from digits.onnx.sections import Verify

EXPLANATION = [
    "Every number compares log-probabilities (natural logarithm) of all raw images, one of each class.",
    "The oracle is PyTorch evaluating the same weights in float64. Its own error is about nine digits",
    "smaller than that of float32, so what differs from the oracle is the error of the other side.",
    "torch_float32_error, torch_float32_mean_error: the errors of PyTorch's own float32, the yardstick.",
    "largest_difference, mean_difference: the runtime's error, as absolute differences from the oracle.",
    "largest_excess: the most by which the runtime's error on a number exceeds PyTorch's on the same one.",
    "error_ratio: largest_difference / torch_float32_error; a configuration fails above `tolerance`.",
    "class_flips: images whose predicted class is not the oracle's (at the top: PyTorch's flips, too);",
    "fails above 0.",
    "smallest_margin: the least distance between the two most probable classes; at the top, the oracle's.",
    "largest_harmless_error: half of that; an error below it on every number flips no test image.",
    "accuracy: recomputed from the runtime's own answers; fails unless equal to PyTorch's.",
    "provider: what really ran, as the runtime itself reports it.",
    "near_ties: test images moved by gradient steps to where the two most probable classes almost tie, the",
    "margins between smallest_margin and largest_margin. There the rounding of float32 decides, so flips are",
    "expected, of PyTorch's own float32, too (torch_float32_flips). near_tie_difference: the largest error",
    "on them, held to the same tolerance; near_tie_flips: how many flip; near_tie_flipped_margin: the",
    "largest margin of one that did. It fails above `explained_margin`, twice the error that is allowed.",
    "bound: what docs/proof.md proves of every float32 runtime, tried or not. images_bounded: test images",
    "that it was computed for. certain: those whose class every such runtime predicts; fails below the share",
    "`least` (verify.proven) of them, and where the file holds another network (`fault`). median_bound,",
    "largest_bound: the most by which, in any such runtime, a difference between the predicted class's",
    "log-probability and another's can be wrong.",
    "safe_margin: where a float32 runtime's two largest log-probabilities differ by more, no other one can",
    "predict another class, of any image that there can be. above_safe_margin: test images where they do.",
    "not_certain: images where margin, the exact difference to a rival, is not above its bound; at most 100.",
    "part_of_bound: the largest error of a difference as a part of its bound; a configuration fails above 1,",
    "for it does not compute in IEEE float32. deviation: then, in a copy of the graph that puts out what",
    "each layer answers, the first number outside of its bound.",
    "familiarity: of the second output. torch_float32_error: as above; familiarity_difference,",
    "familiarity_ratio: the runtime's error, and as a multiple of PyTorch's, held to the same tolerance.",
    "refused: test images below `threshold`; refusal_flips: images that the runtime alone refuses, or alone",
    "does not. It fails where one of them is further from the threshold than the allowed error.",
    "missing: runtimes that were chosen and are not here; `passed` says nothing of them. They fail the",
    "stage, unless it is the hardware that is not here (`no_device`).",
]


@dataclass(frozen=True)
class Missing:
    """A runtime that was chosen and is not here."""

    runtime: str
    reason: str
    no_device: bool


def compare_all(
    names: Sequence[str], model: Model, reference: Reference, values: Verify
) -> Iterator[Comparison | Missing]:
    """Every configuration of these runtimes against the reference, each as soon as it is known."""
    for name in names:
        runtime = find(name)
        for level in [o for o in values.optimizations if o in runtime.levels] or runtime.levels:
            try:
                with contextlib.closing(runtime(model, level)) as loaded:
                    for size in values.batch_sizes:
                        yield reference.compare(loaded, level, size, values.tolerance)
            except RuntimeUnavailableError as error:
                yield Missing(name, " ".join(str(error).split()), isinstance(error, NoDeviceError))
                break
            except RuntimeFailedError as error:
                yield _failed(runtime, level, error)


def _failed(runtime: type[Runtime], level: str, error: RuntimeFailedError) -> Comparison:
    return Comparison(
        runtime=runtime.name,
        version="unknown",
        provider="none",
        optimization=level,
        batch_size=0,
        images=0,
        class_flips=0,
        accuracy=0.0,
        faults=[" ".join(str(error).split())],
    )


def certificate(
    reference: Reference, results: Sequence[Comparison | Missing], tolerance: float, least: float = 0.0
) -> dict[str, Any]:
    """All results, ready for JSON; `least` is the share of images whose digit must be certain."""
    comparisons = [result for result in results if isinstance(result, Comparison)]
    test = reference.test
    flips = test.torch_flips + sum(c.class_flips for c in comparisons)
    bound = reference.proven.facts(least) if reference.proven else None
    return {
        "passed": bool(comparisons)
        and not flips
        and not any(c.faults for c in comparisons)
        and not too_few_certain(bound)
        and not (bound and bound["fault"]),
        "images": len(test.images),
        "class_flips": flips,
        "accuracy_torch": reference.accuracy,
        "accuracy_runtime": min((c.accuracy for c in comparisons), default=0.0),
        "torch_float32_error": short(test.error),
        "torch_float32_mean_error": short(test.errors.mean()),
        "largest_difference": max((c.largest_difference or 0.0 for c in comparisons), default=None),
        "tolerance": tolerance,
        "smallest_margin": short(test.margins.min()),
        "largest_harmless_error": short(test.margins.min() / 2),
        "bound": bound,
        "familiarity": _familiarity(reference.familiar) if reference.familiar else None,
        "near_ties": _near_ties(reference, reference.near_ties, tolerance) if reference.near_ties else None,
        "configurations": [asdict(c) for c in comparisons],
        "missing": [asdict(result) for result in results if isinstance(result, Missing)],
        "explanation": EXPLANATION,
    }


def _near_ties(reference: Reference, ties: Expected, tolerance: float) -> dict[str, Any]:
    return {
        "images": len(ties.images),
        "smallest_margin": short(ties.margins.min()),
        "largest_margin": short(ties.margins.max()),
        "explained_margin": short(2 * tolerance * max(reference.test.error, ties.error)),
        "torch_float32_error": short(ties.error),
        "torch_float32_flips": ties.torch_flips,
    }


def _familiarity(familiar: Familiar) -> dict[str, Any]:
    return {
        "threshold": familiar.threshold,
        "refused": int((familiar.oracle < familiar.threshold).sum()),
        "torch_float32_error": short(familiar.error),
    }


def too_few_certain(bound: dict[str, Any] | None) -> bool:
    return bound is not None and bound["certain"] < bound["least"] * bound["images_bounded"]


def check(proof: dict[str, Any]) -> None:
    """Raises ParityError naming every configuration that failed, and how; also when none was compared."""
    failed = [
        f"  {c['runtime']} {c['provider']}, optimizations {c['optimization']}, batch {c['batch_size']}: "
        + "; ".join(c["faults"])
        for c in proof["configurations"]
        if c["faults"]
    ]
    if failed:
        raise ParityError("the ONNX model does not compute what PyTorch computes:\n" + "\n".join(failed))
    lost = [f"  {m['runtime']}: {m['reason']}" for m in proof["missing"] if not m["no_device"]]
    if lost:
        raise ParityError("not every chosen runtime is here:\n" + "\n".join(lost))
    if not proof["configurations"]:
        raise ParityError("nothing was compared: verify.runtimes names none that is here")
    if (bound := proof["bound"]) and bound["fault"]:
        raise ParityError(f"the bound is not proven of this file: {bound['fault']}")
    if too_few_certain(bound):
        raise ParityError(
            f"only {bound['certain']:,} of {bound['images_bounded']:,} answers are certain in every float32 "
            f"runtime; verify.proven asks for a share of {bound['least']:g}"
        )
    if not proof["passed"]:
        raise ParityError(
            "PyTorch float32 predicts other classes than PyTorch float64: the model is at its limits"
        )
