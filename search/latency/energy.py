"""Energy counters of processors (RAPL) and of GPUs (NVML). Missing where the system or an optional package says
nothing."""

import importlib
from pathlib import Path

import torch

_POWER = Path("/sys/class/powercap")
_GPU_WRAP = 1000 * 2**64
"""NVML counts millijoules in 64 bits, from when the driver was loaded."""
Counters = dict[str, tuple[int, int]]
"""Microjoules counted so far, and where the counter begins anew, by name of the counter."""


def energy_counters() -> Counters | None:
    """The counters of all processor packages; None where none can be read (RAPL)."""
    found: Counters = {}
    for folder in sorted(_POWER.glob("intel-rapl:[0-9]*")):
        if folder.name.count(":") != 1:
            continue  # a part of a package that is counted already
        energy, wrap = _text(folder / "energy_uj"), _text(folder / "max_energy_range_uj")
        if energy is not None and wrap is not None and energy.isdigit() and wrap.isdigit():
            found[folder.name] = (int(energy), int(wrap))
    return found or None


def gpu_energy_counters(device: str) -> Counters | None:
    """The counter of the GPU that torch calls `device`; None for the CPU, without NVML's package (`nvidia-ml-py`), and
    for a GPU without a counter of its own (before Volta, or a part of one).

    It is of the whole board, whoever uses it, and moves some ten times a second.
    """
    if device == "cpu":
        return None
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"  # numbers are torch's own where some are hidden
    try:
        nvml.nvmlInit()
        try:
            millijoules = nvml.nvmlDeviceGetTotalEnergyConsumption(nvml.nvmlDeviceGetHandleByUUID(uuid))
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError:
        return None
    return {uuid: (1000 * int(millijoules), _GPU_WRAP)}


def energy_joules(before: Counters | None, after: Counters | None) -> float | None:
    """Joules between two readings of the same counters; None where either is missing.

    >>> energy_joules({"intel-rapl:0": (9_000_000, 10_000_000)}, {"intel-rapl:0": (1_000_000, 10_000_000)})
    2.0
    """
    if before is None or after is None or before.keys() != after.keys():
        return None
    return sum((after[name][0] - count) % wrap for name, (count, wrap) in before.items()) / 1e6


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
