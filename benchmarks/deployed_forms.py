"""One MobileBERT in every form that benchmarks/deploy.py times: transformers' and this project's, same weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from torch import Tensor, nn

from model_zoo.config import EncoderConfig
from model_zoo.deploy import FoldedEncoder, fold
from model_zoo.encoder import Encoder
from model_zoo.huggingface import from_huggingface
from model_zoo.onnx_export import Inputs, export_onnx, open_session, quantise, run_session
from model_zoo.packing import pack

CALIBRATION_BATCHES = 4
PEERS: dict[str, str | None] = {
    "transformers eager": None,
    "transformers compiled": "transformers eager",
    "transformers ONNX float32": "transformers eager",
    "transformers ONNX dynamic int8": "transformers ONNX float32",
    "encoder eager": "transformers eager",
    "folded eager": "transformers eager",
    "folded and packed eager": "transformers eager",
    "folded compiled": "transformers compiled",
    "ONNX float32": "transformers ONNX float32",
    "ONNX dynamic int8": "ONNX float32",
    "ONNX static int8": "ONNX float32",
}
"""Every form and the one that it is compared with."""


class _LastMap(nn.Module):
    """Either implementation, called as a folded encoder is: the last feature map alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, token_ids: Tensor, mask: Tensor, token_types: Tensor) -> Tensor:
        result: Tensor
        if isinstance(self.network, Encoder):
            result = self.network(token_ids, mask, token_types).feature_maps[-1]
        else:
            result = self.network(token_ids, attention_mask=mask, token_type_ids=token_types).last_hidden_state
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What all lengths share."""

    config: EncoderConfig
    theirs: nn.Module
    ours: nn.Module
    folded: FoldedEncoder
    files: Mapping[str, Path]
    """ONNX files by the name of their form."""


def build(fields: Mapping[str, Any], folder: Path, *, seed: int, max_length: int) -> Models:
    """transformers' MobileBERT with random weights, the same here, and the ONNX files of both.

    Args:
        fields: of transformers' MobileBertConfig; what is not named has its default, the released architecture.
        folder: for the ONNX files.
        seed: of weights and calibration batches.
        max_length: of calibration batches, and the longest that the files take.
    """
    torch.manual_seed(seed)
    theirs = transformers.MobileBertModel(transformers.MobileBertConfig(classifier_activation=False, **fields)).eval()
    config, weights = from_huggingface(theirs)
    own = {name.removeprefix("encoder."): tensor for name, tensor in weights.items() if name.startswith("encoder.")}
    ours = Encoder(config)
    ours.load_state_dict(own)
    models = {"theirs": _LastMap(theirs).eval(), "ours": _LastMap(ours).eval()}
    folded = fold(config, weights)
    generator = np.random.default_rng(seed)
    calibration = [random_inputs(config, max_length, generator) for _ in range(CALIBRATION_BATCHES)]
    files = _export(models["theirs"], folded, folder, calibration)
    return Models(config=config, folded=folded, files=files, **models)


def random_inputs(config: EncoderConfig, length: int, generator: np.random.Generator) -> Inputs:
    """One sequence of random ids without padding."""
    ids = generator.integers(1, config.vocab_size, size=(1, length), dtype=np.int64)
    return Inputs(ids, np.ones_like(ids), np.zeros_like(ids))


def forms(models: Models, inputs: Inputs, *, threads: int) -> dict[str, Callable[[], npt.NDArray[np.float32]]]:
    """Every form of PEERS as a function without arguments; compiled ones compile on their first call."""
    torch.compiler.reset()
    ids, types = torch.from_numpy(inputs.input_ids), torch.from_numpy(inputs.token_type_ids)
    mask = torch.from_numpy(inputs.attention_mask).bool()
    modules = {
        "transformers eager": models.theirs,
        "transformers compiled": torch.compile(models.theirs, dynamic=False),
        "encoder eager": models.ours,
        "folded eager": models.folded,
        "folded and packed eager": pack(models.folded, ids.numel()),
        "folded compiled": torch.compile(models.folded, dynamic=False),
    }
    found: dict[str, Callable[[], npt.NDArray[np.float32]]] = {}
    for name in PEERS:
        if name in modules:
            found[name] = lambda module=modules[name]: module(ids, mask, types).numpy()  # type: ignore[misc]
        else:
            session = open_session(models.files[name], threads=threads)
            found[name] = lambda session=session: run_session(session, inputs)  # type: ignore[misc]
    return found


def matrix_products() -> dict[str, tuple[Callable[[], Tensor], int]]:
    """Square float32 products through both of torch's libraries, each with its FLOPs: the best is the peak."""
    found: dict[str, tuple[Callable[[], Tensor], int]] = {}
    for size in (512, 1024, 1536):
        left, right = torch.rand(size, size), torch.rand(size, size)
        target = torch.empty(size, size)
        found[f"torch.mm {size}"] = (lambda a=left, b=right, c=target: torch.mm(a, b, out=c)), 2 * size**3  # type: ignore[misc]
        packed = torch.ops.mkldnn._reorder_linear_weight(right, size)
        found[f"oneDNN packed {size}"] = (
            (  # type: ignore[misc]
                lambda a=left, b=packed: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "none")
            ),
            2 * size**3,
        )
    return found


def _export(theirs: nn.Module, folded: nn.Module, folder: Path, calibration: list[Inputs]) -> dict[str, Path]:
    files = {name: folder / f"{name.replace(' ', '_')}.onnx" for name in PEERS if "ONNX" in name}
    options: dict[str, Any] = {"max_length": calibration[0].input_ids.shape[1], "output": "last_hidden_state"}
    export_onnx(theirs, files["transformers ONNX float32"], **options)
    export_onnx(folded, files["ONNX float32"], **options)
    quantise(files["transformers ONNX float32"], files["transformers ONNX dynamic int8"], "dynamic")
    quantise(files["ONNX float32"], files["ONNX dynamic int8"], "dynamic")
    quantise(files["ONNX float32"], files["ONNX static int8"], "static", calibration)
    return files
