"""Folders of a config.json and a model.safetensors: read with every doubt named, written whole or not at all.

Reads safetensors and JSON only, never pickle, and knows nothing of architectures.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

CONFIG, WEIGHTS = "config.json", "model.safetensors"
DIGEST = "thinbert_sha256"
"""Key of the file's metadata under which `write_folder` leaves a digest of all tensors."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


def read_folder(folder: Path) -> tuple[object, dict[str, Tensor]]:
    """The value of config.json and the tensors of model.safetensors.

    Raises:
        ValueError: one line: a pickle file (with the command that converts it), a file that is missing, truncated, no
            JSON, no safetensors, or other than its digest says where it has one.
    """
    _refuse_pickle(folder)
    if (folder / f"{WEIGHTS}.index.json").exists():
        raise ValueError(f"{folder} must hold one {WEIGHTS}, its weights are in several; save it without sharding")
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} must hold {CONFIG} and {WEIGHTS}, {name} is missing")
    try:
        document: object = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{folder / CONFIG} must hold JSON but is corrupted ({_line(error)}); get it again") from error
    return document, _read_tensors(folder / WEIGHTS)


def write_folder(folder: Path, document: Mapping[str, object], tensors: Mapping[str, Tensor]) -> None:
    """Write both files into a new folder: into a temporary one beside it, synced, then renamed.

    Raises:
        ValueError: where the folder exists and is not empty.
        OSError: what the system reported, with `filename` set to the folder; nothing is left of the attempt.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} must be a new or an empty folder, it is there already; name another or delete it")
    metadata = {"format": "pt", DIGEST: tensors_digest(tensors)}
    content = {
        CONFIG: (json.dumps(document, indent=2, sort_keys=True) + "\n").encode(),
        WEIGHTS: safetensors.torch.save(dict(tensors), metadata),
    }
    temporary = folder.with_name(f".{folder.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        for name, data in content.items():
            _write_synced(temporary / name, data)
        _sync(temporary)
        os.replace(temporary, folder)
        _sync(folder.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(temporary)
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(folder), None
        raise


def _refuse_pickle(path: Path) -> None:
    if path.is_file() and path.suffix not in PICKLES:
        raise ValueError(f"{path} is a file; name the folder that holds {CONFIG} and {WEIGHTS}")
    pickles = [path] if path.is_file() else sorted(found for found in path.glob("*") if found.suffix in PICKLES)
    if not path.is_file() and (not pickles or (path / WEIGHTS).exists()):
        return
    load = f"torch.load({json.dumps(str(pickles[0]))}, weights_only=True).items()"
    code = (
        f"import torch, safetensors.torch as s; s.save_file({{k: v.clone().contiguous() for k, v in {load}}}, "
        f'{json.dumps(str(pickles[0].parent / WEIGHTS))}, {{"format": "pt"}})'
    )
    raise ValueError(
        f"{pickles[0]} is a pickle file, which can run code when it is opened, and is not read; convert it: "
        f"python -c {shlex.quote(code)}"
    )


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safetensors.safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (not a mapping)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is truncated or no safetensors file ({_line(error)}); get it again") from error
    if DIGEST in metadata and metadata[DIGEST] != tensors_digest(tensors):
        raise ValueError(f"{path} was changed after it was written: its tensors do not have its digest; get it again")
    return tensors


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors: names, types, shapes and bytes, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
