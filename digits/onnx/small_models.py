"""Smaller forms of an exported model: half precision, and 8-bit integers."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from digits.data.datasets import Dataset
from digits.onnx import agreement, all_images, export
from digits.onnx.contract import FAMILIARITY, INPUT, OUTPUT
from digits.onnx.figures import short
from digits.onnx.proven import Proven, leading_to
from digits.onnx.sections import Shrink

Images = NDArray[np.uint8]
BATCH_SIZES = (1, 1000)
ROUNDS = 15
JUDGED = 10_000  # training images by which models are offered or not


def float16(model: bytes, images: Images) -> bytes:
    """Weights and arithmetic in float16; input and output stay as they are."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return _finish(convert_float_to_float16(_network(model), keep_io_types=True), model)


def int8(model: bytes, images: Images) -> bytes:
    """Static quantization of the layers (QDQ, a scale per channel), ranges calibrated on `images`."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = iter([images[i : i + 100] for i in range(0, len(images), 100)])

        def get_next(self) -> dict[str, Images] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (Path(folder) / f"{name}.onnx" for name in ("model", "prepared", "int8"))
        source.write_bytes(_network(model).SerializeToString())
        # Symbolic shapes are for dimensions that are computed; here only the batch is free.
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # To 7 bits: AVX2 without VNNI adds two products in 16 bits, for which those of 8 are too large.
            reduce_range=True,
        )
        return _finish(onnx.load(target), model)


FORMATS: Mapping[str, Callable[[bytes, Images], bytes]] = {"float16": float16, "int8": int8}


def _network(model: bytes) -> onnx.ModelProto:
    """What leads to the first output alone: the threshold of the second is that of float32."""
    small = onnx.load_from_string(model)
    nodes = leading_to(small.graph, OUTPUT)
    used = {name for node in nodes for name in node.input}
    _keep(small.graph.node, nodes)
    _keep(small.graph.initializer, [tensor for tensor in small.graph.initializer if tensor.name in used])
    _keep(small.graph.output, [output for output in small.graph.output if output.name == OUTPUT])
    return small


def _keep(field: Any, kept: Sequence[Any]) -> None:
    copies = [type(part).FromString(part.SerializeToString()) for part in kept]
    del field[:]
    field.extend(copies)


def _add_familiarity(small: onnx.GraphProto, model: onnx.GraphProto) -> None:
    """The second output as it is in the float32 model, from the image on, if it has any."""
    nodes = leading_to(model, FAMILIARITY)
    used = {name for node in nodes for name in node.input}
    held = [tensor for tensor in model.initializer if tensor.name in used]
    own = {tensor.name for tensor in held} | {name for node in nodes for name in node.output} - {FAMILIARITY}
    names = {name: f"{FAMILIARITY}/{name}" for name in own}
    for tensor in held:
        small.initializer.add().CopyFrom(tensor)
        small.initializer[-1].name = names[tensor.name]
    for node in nodes:
        copy = small.node.add()
        copy.CopyFrom(node)
        copy.name = f"{FAMILIARITY}/{node.name}"
        copy.input[:] = [names.get(name, name) for name in node.input]
        copy.output[:] = [names.get(name, name) for name in node.output]
    small.output.extend(output for output in model.output if output.name == FAMILIARITY)


def _finish(small: onnx.ModelProto, model: bytes) -> bytes:
    """Hold a converted model to the contract; domains that no node uses are dropped, metadata is kept."""
    _add_familiarity(small.graph, onnx.load_from_string(model).graph)
    used = {node.domain for node in small.graph.node}
    for opset in [o for o in small.opset_import if o.domain not in used]:
        small.opset_import.remove(opset)
    del small.graph.value_info[:]
    del small.metadata_props[:]
    kept = (entry for entry in onnx.load_from_string(model).metadata_props if entry.key != all_images.KEY)
    small.metadata_props.extend(kept)  # what is proven of float32 is not proven of these
    export.check(small)
    return bytes(small.SerializeToString(deterministic=True))


class Labelled(NamedTuple):
    """Raw images, uint8 [n, 1, 28, 28], with their digits, [n]."""

    images: Images
    labels: NDArray[Any]


def set_aside(training: Dataset, calibration: int) -> tuple[Images, Labelled]:
    """The training images that ranges are calibrated on, evenly spread, and others to choose by."""
    everything = np.arange(len(training.labels))
    calibrated = np.linspace(0, len(everything) - 1, min(calibration, len(everything))).astype(int)
    others = np.setdiff1d(everything, calibrated)
    judged = others[np.linspace(0, len(others) - 1, min(JUDGED, len(others))).astype(int)]
    images = training.images[:, None]
    return images[calibrated], Labelled(images[judged], training.labels[judged])


def compare(
    name: str, small: bytes, model: bytes, judged: Labelled, test: Labelled, single: Proven | None = None
) -> dict[str, Any]:
    """Size, accuracy, flips and speed of a smaller model next to the float32 one, in onnxruntime on the CPU.

    And what is certain in any runtime, where there are bounds for the float32 one, `single`, on `test`.

    What it is worth is told by the test images; `verdict` looks at those set aside, `judged`, alone. Speed is
    the median of the ratio of two times that are taken in turns, on one thread: what slows the machine down
    for a while slows both. Above 1 the smaller model is faster.
    """
    sessions = [_session(content) for content in (model, small)]
    found = [_answers(session, test.images) for session in sessions]
    classes = [answers.argmax(axis=1) for answers in found]
    accuracies = [float((c == test.labels).mean()) for c in classes]
    aside = [_answers(session, judged.images) for session in sessions]
    on_aside = [float((answers.argmax(axis=1) == judged.labels).mean()) for answers in aside]
    speeds = {str(size): short(_speed(sessions, judged.images, size)) for size in BATCH_SIZES}
    return {
        "format": name,
        "onnxruntime": str(onnxruntime.__version__),
        "images": len(test.images),
        "bytes": len(small),
        "bytes_float32": len(model),
        "accuracy": accuracies[1],
        "accuracy_float32": accuracies[0],
        "class_flips": int((classes[0] != classes[1]).sum()),
        "largest_difference": short(np.abs(found[1] - found[0]).max()),
        "set_aside_images": len(judged.images),
        "set_aside_accuracy": on_aside[1],
        "set_aside_accuracy_float32": on_aside[0],
        "set_aside_finite": bool(np.isfinite(aside[1]).all()),
        "speed_by_batch_size": speeds,
        "bound": agreement.facts(name, small, test.images, found[1], single) if single else None,
    }


def verdict(facts: Mapping[str, Any], values: Shrink) -> str:
    """Why a smaller model is not offered; empty where it is. The test images choose nothing.

    They only show where onnxruntime computes something else than the file says.
    """
    if not facts["set_aside_finite"]:
        return "its answers are not finite"
    if facts["bound"] and facts["bound"]["part_of_bound"] > 1:
        return "onnxruntime does not compute what it says on this processor: its error exceeds the bound"
    if facts["set_aside_accuracy"] < facts["set_aside_accuracy_float32"] - values.max_accuracy_drop:
        return f"it loses more than {values.max_accuracy_drop} of accuracy"
    if facts["bytes"] >= facts["bytes_float32"] and max(facts["speed_by_batch_size"].values()) <= 1:
        return "it is neither smaller nor faster"
    return ""


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _answers(session: onnxruntime.InferenceSession, images: Images) -> NDArray[np.float32]:
    parts = [session.run([OUTPUT], {INPUT: images[i : i + 1000]})[0] for i in range(0, len(images), 1000)]
    return np.concatenate(parts)


def _speed(sessions: list[onnxruntime.InferenceSession], images: Images, batch_size: int) -> float:
    batch, times = images[:batch_size], max(1, 1000 // batch_size)
    ratios = []
    for turn in range(ROUNDS + 1):
        seconds = []
        for session in sessions:
            start = time.perf_counter()
            for _ in range(times):
                session.run([OUTPUT], {INPUT: batch})
            seconds.append(time.perf_counter() - start)
        if turn:  # the first warms up
            ratios.append(seconds[0] / seconds[1])
    return float(np.median(ratios))
