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
        folded = _fold(encoder)
        return lambda: _run(folded, batch)
    token_ids, mask, token_types = (part.numpy().astype(np.int64) for part in batch)
    inputs = Inputs(token_ids, mask, token_types)
    with tempfile.TemporaryDirectory() as temporary:
        if folder is None:
            file = Path(temporary) / FLOAT_FILE
            file.write_bytes(_artefact(_Source(mark=_mark(encoder), encoder=encoder), case.runtime))
        else:
            file = _exported(encoder, case.runtime, folder)
        session = open_session(file, threads=case.threads)
    return lambda: torch.from_numpy(run_session(session, inputs))


def _exported(encoder: Encoder, runtime: Runtime, folder: Path) -> Path:
    """The file of a runtime in a folder, exported and quantised where it is not there yet."""
    file, int8 = folder / FLOAT_FILE, folder / INT8_FILE
    if not file.exists():
        export_onnx(_fold(encoder), file, max_length=encoder.config.max_positions, output="last_hidden_state")
    if runtime == "onnx":
        return file
    if not int8.exists():
        quantise(file, int8, "dynamic")
    return int8


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
        return _exported(source.encoder, runtime, Path(folder)).read_bytes()


def _fold(encoder: Encoder) -> FoldedEncoder:
    return fold(encoder.config, {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()})


def _run(folded: FoldedEncoder, batch: Batch) -> Tensor:
    result: Tensor = folded(*batch)
    return result
