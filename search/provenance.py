"""Where a number comes from: commit, versions, machine. Nothing that names a person or a path."""

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = ("thinbert", "torch", "optuna", "datasets", "tokenizers", "numpy")


def provenance(*, device: str, threads: int) -> dict[str, Any]:
    """Commit (of the source tree, where there is one), versions, machine, device and threads."""
    return {
        **commit(),
        "versions": versions(),
        "python": platform.python_version(),
        "machine": processor_name(),
        "cores": os.cpu_count(),
        "device": device_name(device),
        "threads": threads,
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages that can change a result."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def processor_name() -> str:
    """The processor's model name, or what the platform calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def device_name(device: str) -> str:
    """`cpu`, or the GPU's name."""
    if device == "cpu":
        return "cpu"
    import torch

    return str(torch.cuda.get_device_name(device))


@functools.cache
def commit() -> dict[str, Any]:
    """Commit and whether the tree differs from it; empty for an installed package or without git."""
    folder = Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return {}
    try:
        head = _git(folder, "rev-parse", "HEAD")
        dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": head, "dirty": dirty}


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return result.stdout.strip()
