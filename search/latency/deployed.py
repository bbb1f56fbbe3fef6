"""Passes of an encoder as it is deployed: folded in torch, or exported and run by ONNX Runtime; float32 on the CPU."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model_zoo.deploy import FoldedEncoder, fold
from model_zoo.encoder import Encoder
from model_zoo.onnx_export import Inputs, export_onnx, open_session, quantise, run_session
from search.latency.case import LatencyCase

Batch = tuple[Tensor, Tensor, Tensor]
"""Token ids, mask and token types."""
FLOAT_FILE, INT8_FILE = "model.onnx", "int8.onnx"


def deployed_pass(
    encoder: Encoder, case: LatencyCase, batch: Batch, folder: Path | None = None
) -> Callable[[], Tensor]:
    """One pass of the encoder's folded form in the case's runtime.

    Args:
        folder: where its ONNX files are kept and found again, so that it is exported once for several runtimes; it must
            be of this encoder with these weights alone. Without one they are temporary.

    Raises:
        ValueError: the packages of ONNX are missing, or the encoder cannot be exported.
    """
    if case.runtime == "folded":
        folded = _folded(encoder)
        return lambda: _run(folded, batch)
    with tempfile.TemporaryDirectory() as temporary:
        session = open_session(_exported(encoder, case, folder or Path(temporary)), threads=case.threads)
    inputs = Inputs(*(part.numpy().astype(np.int64) for part in batch))
    return lambda: torch.from_numpy(run_session(session, inputs))


def _exported(encoder: Encoder, case: LatencyCase, folder: Path) -> Path:
    file, int8 = folder / FLOAT_FILE, folder / INT8_FILE
    if not file.exists():
        export_onnx(_folded(encoder), file, max_length=encoder.config.max_positions, output="last_hidden_state")
    if case.runtime == "onnx":
        return file
    if not int8.exists():
        quantise(file, int8, "dynamic")
    return int8


def _folded(encoder: Encoder) -> FoldedEncoder:
    return fold(encoder.config, {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()})


def _run(folded: FoldedEncoder, batch: Batch) -> Tensor:
    result: Tensor = folded(*batch)
    return result
