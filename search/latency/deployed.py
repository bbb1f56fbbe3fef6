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


def deployed_pass(encoder: Encoder, case: LatencyCase, batch: Batch) -> Callable[[], Tensor]:
    """One pass of the encoder's folded form in the case's runtime.

    Raises:
        ValueError: the packages of ONNX are missing, or the encoder cannot be exported.
    """
    folded = fold(encoder.config, {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()})
    if case.runtime == "folded":
        return lambda: _run(folded, batch)
    token_ids, mask, token_types = (part.numpy().astype(np.int64) for part in batch)
    inputs = Inputs(token_ids, mask, token_types)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        export_onnx(folded, file, max_length=encoder.config.max_positions, output="last_hidden_state")
        if case.runtime == "onnx-int8":
            quantise(file, Path(folder) / "int8.onnx", "dynamic")
            file = Path(folder) / "int8.onnx"
        session = open_session(file, threads=case.threads)
    return lambda: torch.from_numpy(run_session(session, inputs))


def _run(folded: FoldedEncoder, batch: Batch) -> Tensor:
    result: Tensor = folded(*batch)
    return result
