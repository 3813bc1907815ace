"""ONNX: one self-contained file that takes raw grey values and any batch size."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping

import onnx
import onnx.version_converter
import torch
from google.protobuf.message import DecodeError

from digits.common.about import DIGITS
from digits.common.errors import DigitsError
from digits.networks.classifier import Classifier
from digits.onnx.contract import FAMILIARITY, INPUT, OUTPUT

OLDEST_EXPORTED = 18
"""The oldest opset that PyTorch writes; ONNX's own converter makes older ones."""
IR_OF_OLDER = 8
# The exporter misses torchvision's operators, which nothing here uses.
logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)


class ExportError(DigitsError):
    """The exported graph breaks its contract."""


def to_onnx(classifier: Classifier, opset: int, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Export to ONNX: `image` uint8 [batch, 1, 28, 28] to `log_probabilities` float32 [batch, classes].

    Where the classifier knows what is familiar, there is a second output, `familiarity` float32 [batch].
    The same classifier gives the same bytes on every export, wherever the sources lie.

    Raises:
        ExportError: what came out breaks the contract; see `check`.
    """
    example = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            (classifier if classifier.familiarity is None else _Both(classifier)).eval(),
            (example,),
            input_names=[INPUT],
            output_names=[OUTPUT] if classifier.familiarity is None else [OUTPUT, FAMILIARITY],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=max(opset, OLDEST_EXPORTED),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    if opset < OLDEST_EXPORTED:
        model = _older(model, opset)
    _strip_traces(model)
    onnx.helper.set_model_props(model, dict(sorted(metadata.items())))
    check(model)
    return model


class _Both(Classifier):
    """A classifier that gives both of its outputs in one call."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier.net, 0.0, 1.0, classifier.familiarity)
        self.mean, self.std = classifier.mean, classifier.std

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        return super().forward(image), self.familiar(image)


def _older(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """For runtimes of 2021 and 2022, which refuse files of a later form, too."""
    for node in model.graph.node:
        # ONNX's converter keeps it, and older operators have no such attribute; it says what they do anyway.
        for attribute in [a for a in node.attribute if a.name == "noop_with_empty_axes" and not a.i]:
            node.attribute.remove(attribute)
    converted = onnx.version_converter.convert_version(model, opset)
    converted.ir_version = IR_OF_OLDER
    return converted


def _strip_traces(model: onnx.ModelProto) -> None:
    # The exporter notes source paths and stack traces, which differ between checkouts.
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    model.graph.doc_string = model.doc_string = ""
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]


def read(content: bytes) -> onnx.ModelProto:
    """Raises ExportError where the content is no ONNX model."""
    try:
        return onnx.load_from_string(content)
    except DecodeError as error:
        cause = " ".join(str(error).split())
        raise ExportError(f"this is no ONNX model: {cause}; run the export stage") from None


def check(model: onnx.ModelProto) -> None:
    """Hold the model to the contract and to ONNX's full checker.

    Raises:
        ExportError: naming every breach.
    """
    try:
        breaches = list(_breaches(model))
    except UnicodeDecodeError as error:
        breaches = [f"a name in it is no text: {error}"]
    if breaches:
        raise ExportError("the ONNX model breaks its contract: " + "; ".join(breaches))


def classes(model: onnx.ModelProto) -> list[str]:
    """The names of the classes in the metadata; where there are none, the ten digits."""
    stated = next((entry.value for entry in model.metadata_props if entry.key == "classes"), None)
    try:
        found = DIGITS if stated is None else json.loads(stated)
    except RecursionError:
        raise ValueError("they are nested too deeply") from None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ValueError(f"{stated!r} is no list of names")
    return found


REFUSALS = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    *(ValueError, IndexError, OverflowError, RuntimeError),
)
"""Of ONNX's checker: its own, and those that the exceptions of C++ which it lets through become in Python."""


def _breaches(model: onnx.ModelProto) -> Iterator[str]:
    kinds = onnx.TensorProto
    first, *others = [value.name for value in model.graph.output] or [""]
    if [value.name for value in model.graph.input] != [INPUT]:
        yield f"expected {INPUT!r} alone, found {[value.name for value in model.graph.input]}"
    if first != OUTPUT or others not in ([], [FAMILIARITY]):
        yield f"expected {OUTPUT!r}, and {FAMILIARITY!r} or nothing, found {[first, *others]}"
    try:
        count = len(classes(model))
    except ValueError as error:
        yield f"its classes cannot be read: {' '.join(str(error).split())}"
        return
    expected: Mapping[str, tuple[int, list[str | int]]] = {
        INPUT: (kinds.UINT8, ["batch", 1, 28, 28]),
        OUTPUT: (kinds.FLOAT, ["batch", count]),
        FAMILIARITY: (kinds.FLOAT, ["batch"]),
    }
    values = {value.name: value for value in (*model.graph.input, *model.graph.output)}
    for name, (kind, shape) in expected.items():
        if name not in values:
            continue
        tensor = values[name].type.tensor_type
        if tensor.elem_type != kind:
            known = dict(zip(kinds.DataType.values(), kinds.DataType.keys(), strict=True))
            found_kind = known.get(tensor.elem_type, f"of the unknown type {tensor.elem_type}")
            yield f"{name} is {found_kind}, not {known[kind]}"
        found = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
        if found != shape:
            yield f"{name} has the shape {found}, not {shape}"
    if any(tensor.data_location == kinds.EXTERNAL for tensor in _tensors(model.graph)):
        yield "weights lie in a second file"
    if model.functions or {opset.domain for opset in model.opset_import} != {""}:
        yield "it uses operators outside the ONNX standard"
    if any(node.op_type == "Dropout" for node in model.graph.node):
        yield "it has a Dropout node"
    try:
        onnx.checker.check_model(model, full_check=True)
    except REFUSALS as error:
        yield f"the ONNX checker says: {error}"


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """All of a graph, those within its nodes included."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for inner in (attribute.g, *attribute.graphs):
            yield from _tensors(inner)
