"""What a session ran among: load, frequency governor, cores, thread pools. Missing where the system says nothing."""

import os
import re
from pathlib import Path
from typing import Any

import torch

from search.latency.case import LatencyCase
from search.provenance import provenance

_CPU = Path("/sys/devices/system/cpu")


def surroundings(case: LatencyCase) -> dict[str, Any]:
    """Machine, versions and settings; call it while the session's thread counts are set."""
    found: dict[str, Any] = provenance(device=case.device, threads=torch.get_num_threads()) | {
        "interop_threads": torch.get_num_interop_threads(),
        "thread_pools": thread_pools(),
    }
    optional = {
        "governor": governor(),
        "affinity": affinity(),
        "turbo": turbo(),
        "gpu_clock_mhz": _gpu_clock_mhz(case.device),
    }
    return found | {name: value for name, value in optional.items() if value is not None}


def load_average() -> list[float] | None:
    """Mean number of runnable processes over 1, 5 and 15 minutes; None where the system has none."""
    try:
        return list(os.getloadavg())
    except (AttributeError, OSError):
        return None


def governor() -> str | None:
    """How the system chooses the processor's frequency; several, between commas, where cores differ."""
    paths = sorted(_CPU.glob("cpu[0-9]*/cpufreq/scaling_governor"))
    found = {text for path in paths if (text := _text(path))}
    return ", ".join(sorted(found)) or None


def turbo() -> bool | None:
    """Whether the processor may go above its nominal frequency."""
    off, boost = _text(_CPU / "intel_pstate" / "no_turbo"), _text(_CPU / "cpufreq" / "boost")
    if off is not None:
        return off == "0"
    return None if boost is None else boost == "1"


def affinity() -> list[int] | None:
    """The cores this process may use."""
    try:
        return sorted(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return None


def thread_pools() -> dict[str, str]:
    """What torch says of its pools: OpenMP, MKL and oneDNN, and the variables that set them."""
    report = torch.__config__.parallel_info()
    keys = {
        "at::get_num_threads()": "intra-operator",
        "at::get_num_interop_threads()": "inter-operator",
        "omp_get_max_threads()": "OpenMP",
        "mkl_get_max_threads()": "MKL",
        "OMP_NUM_THREADS": "OMP_NUM_THREADS",
        "MKL_NUM_THREADS": "MKL_NUM_THREADS",
        "ATen parallel backend": "backend",
    }
    found = re.findall(r"^\s*([^:\n]+(?:::[^:\n]+)?)\s*: (.+)$", report, re.MULTILINE)
    return {keys[name.strip()]: value.strip() for name, value in found if name.strip() in keys}


def _gpu_clock_mhz(device: str) -> int | None:
    if device == "cpu":
        return None
    try:
        return int(torch.cuda.clock_rate(device))
    except (ImportError, ModuleNotFoundError, RuntimeError):  # torch asks NVML through a package that is optional
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
