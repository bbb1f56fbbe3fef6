"""Passes of an encoder as it is deployed: folded in torch, or exported and run by ONNX Runtime; float32 on the CPU."""

import functools
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model_zoo.deploy import FoldedEncoder, fold
from model_zoo.encoder import Encoder
from model_zoo.onnx_export import Inputs, export_onnx, open_session, quantise, run_session
from search.latency.case import LatencyCase, Runtime

Batch = tuple[Tensor, Tensor, Tensor]
"""Token ids, mask and token types."""


def deployed_pass(encoder: Encoder, case: LatencyCase, batch: Batch) -> Callable[[], Tensor]:
    """One pass of the encoder's folded form in the case's runtime.

    Raises:
        ValueError: the packages of ONNX are missing, or the encoder cannot be exported.
    """
    if case.runtime == "folded":
        folded = _fold(encoder)
        return lambda: _run(folded, batch)
    token_ids, mask, token_types = (part.numpy().astype(np.int64) for part in batch)
    inputs = Inputs(token_ids, mask, token_types)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        file.write_bytes(_artefact(_Source(mark=_mark(encoder), encoder=encoder), case.runtime))
        session = open_session(file, threads=case.threads)
    return lambda: torch.from_numpy(run_session(session, inputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """An encoder to be exported; two of one mark are equal."""

    mark: str
    encoder: Encoder = field(compare=False)


def _mark(encoder: Encoder) -> str:
    """The hash of an encoder's config and weights."""
    digest = hashlib.sha256(repr(encoder.config).encode())
    for name, tensor in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


@functools.lru_cache(maxsize=2)
def _artefact(source: _Source, runtime: Runtime) -> bytes:
    """The exported file's content. Kept for the two last, since exporting takes seconds: a session's reference is its
    control too, and mostly a candidate."""
    with tempfile.TemporaryDirectory() as folder:
        file, int8 = Path(folder) / "model.onnx", Path(folder) / "int8.onnx"
        length = source.encoder.config.max_positions
        export_onnx(_fold(source.encoder), file, max_length=length, output="last_hidden_state")
        if runtime == "onnx-int8":
            quantise(file, int8, "dynamic")
        return (int8 if runtime == "onnx-int8" else file).read_bytes()


def _fold(encoder: Encoder) -> FoldedEncoder:
    return fold(encoder.config, {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()})


def _run(folded: FoldedEncoder, batch: Batch) -> Tensor:
    result: Tensor = folded(*batch)
    return result
