"""Checkpoints: one safetensors file with its own digest, written whole, so that a cut or altered one is always
noticed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save as save_bytes
from torch import Tensor

from search.files import write_whole


class Checkpoint(NamedTuple):
    """Tensors by name and a JSON state."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole; a crash leaves the one before it."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    state = json.dumps(checkpoint.state, allow_nan=False)
    metadata = {"state": state, "sha256": _digest(tensors, state)}
    write_whole(path, save_bytes(tensors, metadata))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises ValueError naming the file when it is cut short, altered or of another format."""
    tensors, metadata = _read(path, "checkpoint", "is")
    state = metadata.get("state", "")
    if metadata.get("sha256") != _digest(tensors, state):
        raise ValueError(f"checkpoint {path.name} is corrupted (its digest does not match its content)")
    return Checkpoint(tensors, json.loads(state))


def save_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write trained weights whole, with their digest; equal tensors give equal bytes."""
    write_whole(path, save_bytes(dict(tensors), {"sha256": _digest(tensors, "")}))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read trained weights. Raises ValueError naming the file when it is cut short or altered."""
    tensors, metadata = _read(path, "weights", "are")
    if metadata.get("sha256") != _digest(tensors, ""):
        raise ValueError(f"weights {path.name} are corrupted (their digest does not match their content)")
    return tensors


def _read(path: Path, what: str, verb: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    data = path.read_bytes()
    try:
        tensors = load_bytes(data)
        metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{what} {path.name} {verb} corrupted ({' '.join(str(error).split())})") from error
    return tensors, metadata


def _digest(tensors: Mapping[str, Tensor], state: str) -> str:
    digest = hashlib.sha256(state.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimizer's per-parameter state as named tensors; numbers become float64 tensors without dimensions."""
    named: dict[str, Tensor] = {}
    for index, entries in optimizer.state_dict()["state"].items():
        for key, value in entries.items():
            named[f"optimizer/{index}/{key}"] = (
                value if isinstance(value, Tensor) else torch.tensor(float(value)).double()
            )
    return named


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give a fresh optimizer over the same parameters the state that `optimizer_tensors` saved."""
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            number = key == "step" and tensor.dtype == torch.float64
            state.setdefault(int(index), {})[key] = int(tensor.item()) if number else tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
