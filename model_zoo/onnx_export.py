"""Networks as ONNX files, in float32 or int8, and how to run them; needs the optional packages of `thinbert[onnx]`.

Inputs and outputs are called as transformers' exports call theirs: int64 `input_ids`, `attention_mask` (1 at real
tokens) and `token_type_ids`, each (batch, length), both free; `logits` or `last_hidden_state`.
int8 is ONNX Runtime's: weights per output channel, activations per tensor, as unsigned bytes. Dynamic: the range of an
activation is found while it runs; static: it is fixed beforehand from calibration batches. What is quantised is every
matrix product with a constant matrix; attention's own two products, softmax and sums stay float32.
"""

import ast
import contextlib
import importlib
import io
import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int
from torch import Tensor, nn

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OPSET = 18
QUANTISED = ["MatMul", "Gemm"]
Int8 = Literal["dynamic", "static"]


class Inputs(NamedTuple):
    """One batch as ONNX Runtime takes it, each (batch, length)."""

    input_ids: npt.NDArray[np.int64]
    attention_mask: npt.NDArray[np.int64]
    token_type_ids: npt.NDArray[np.int64]


class _HuggingFaceInputs(nn.Module):
    """The network with transformers' inputs: the mask as numbers."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        input_ids: Int[Tensor, "batch length"],
        attention_mask: Int[Tensor, "batch length"],
        token_type_ids: Int[Tensor, "batch length"],
    ) -> Tensor:
        result: Tensor = self.network(input_ids, attention_mask.bool(), token_type_ids)
        return result


def export_onnx(network: nn.Module, path: Path, *, max_length: int, output: str) -> None:
    """Write a network as an ONNX file by torch's exporter (`dynamo=True`), opset 18.

    Args:
        network: a folded encoder or task (or any module) of token ids, mask (True at real tokens) and token types, on
            the CPU and in eval mode.
        path: the file, written whole.
        max_length: the longest sequence, at least 3.
        output: name of the result, `logits` or `last_hidden_state`.

    Raises:
        ValueError: the optional packages are missing, `max_length` is too short, or torch cannot export the network.
        OSError: the file cannot be written.
    """
    needs("onnx", "onnxscript")
    if max_length < 3:
        raise ValueError(f"max_length must be at least 3, got {max_length}: torch cannot export a free length below it")
    ids = torch.zeros(2, min(max_length, 16) - 1, dtype=torch.int64)
    batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=2, max=max_length)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                _HuggingFaceInputs(network),
                (ids, torch.ones_like(ids), ids.clone()),  # one tensor given twice would become one input
                dynamo=True,
                opset_version=OPSET,
                input_names=list(INPUTS),
                output_names=[output],
                dynamic_shapes={name: {0: batch, 1: length} for name in INPUTS},
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ValueError(f"torch could not export the network to ONNX: {_first_line(error)}") from error
    assert program is not None
    _whole(path, program.model_proto.SerializeToString())


def quantise(
    path: Path, target: Path, kind: Int8, calibration: Iterable[Inputs] = (), *, exclude: Sequence[str] = ()
) -> None:
    """Write the int8 form of an exported network.

    Args:
        path: a float32 file of `export_onnx`.
        target: the int8 file, written whole.
        kind: dynamic or static.
        calibration: batches whose activations fix the ranges of the static form.
        exclude: names of products that stay float32 (`products` lists them).

    Raises:
        ValueError: the optional packages are missing, static without calibration batches, or `path` is no model.
        OSError: `path` cannot be read, or `target` cannot be written.
    """
    needs("onnx", "onnxruntime")
    import onnx
    from google.protobuf.message import DecodeError
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    try:
        onnx.load(path)
    except DecodeError as error:
        raise ValueError(f"{path} is no ONNX model ({_first_line(error)}); export it again") from error

    options: dict[str, Any] = {"MatMulConstBOnly": True}
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with _quiet():
            if kind == "dynamic":
                quantize_dynamic(
                    path,
                    temporary,
                    op_types_to_quantize=QUANTISED,
                    nodes_to_exclude=list(exclude),
                    per_channel=True,
                    weight_type=QuantType.QInt8,
                    extra_options=options,
                )
            else:
                quantize_static(
                    path,
                    temporary,
                    _reader(calibration),
                    quant_format=QuantFormat.QDQ,
                    op_types_to_quantize=QUANTISED,
                    nodes_to_exclude=list(exclude),
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    # Results stay float32: sums of the residual stream follow, and a runtime fuses the way back.
                    extra_options=options | {"OpTypesToExcludeOutputQuantization": QUANTISED},
                )
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def products(path: Path) -> dict[str, str]:
    """The products of an exported network that `quantise` would quantise: name to the module that they are part of.

    Modules are called as in a `FoldedEncoder` or `FoldedTask`, such as `encoder.blocks.3.inner.0`; what accumulates
    into the residual stream belongs to its block, `encoder.blocks.3`.
    """
    needs("onnx")
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    constants = {tensor.name for tensor in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type in QUANTISED and node.input[1] in constants:
            properties = {entry.key: entry.value for entry in node.metadata_props}
            scopes = ast.literal_eval(properties["pkg.torch.onnx.name_scopes"])  # '', modules outside in, operation
            found[node.name] = scopes[-2].removeprefix("network.")
    return found


def open_session(path: Path, *, threads: int) -> Any:
    """An ONNX Runtime session on the CPU.

    Raises:
        ValueError: ONNX Runtime is missing, or the file is no model that it can run.
    """
    needs("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no public base class
        raise ValueError(
            f"{path} is no model that ONNX Runtime can run ({_first_line(error)}); export it again"
        ) from error


def run_session(session: Any, inputs: Inputs) -> npt.NDArray[np.float32]:
    """The network's result for one batch.

    Raises:
        ValueError: ONNX Runtime gave up, for want of memory for one.
    """
    try:
        result: npt.NDArray[np.float32] = session.run(None, inputs._asdict())[0]
    except Exception as error:  # onnxruntime's errors share no public base class
        batch, length = inputs.input_ids.shape
        raise ValueError(f"ONNX Runtime could not run a batch of {batch} x {length}: {_first_line(error)}") from error
    return result


def needs(*packages: str) -> None:
    """Raise ValueError, with the command that installs them, unless all packages can be imported."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ValueError(
                f"ONNX needs the package {package}, which is not installed; pip install 'thinbert[onnx]'"
            ) from error


def _reader(calibration: Iterable[Inputs]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    batches: Sequence[Inputs] = list(calibration)
    if not batches:
        raise ValueError("static int8 needs calibration batches, got none; give some, or use dynamic int8")

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.rest, None)
            return None if batch is None else batch._asdict()

    return Reader()


def _whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporter and quantiser say about themselves (optional packages that they miss, their progress)."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split("\n", 1)[0].split())[:300]
