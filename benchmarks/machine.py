"""The header that every benchmark prints: machine, versions, thread counts and load. Imports nothing heavy itself."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

from search.provenance import processor_name, versions


def machine() -> dict[str, Any]:
    """What the numbers of this process depend on, ready for JSON.

    Thread counts are torch's where torch is imported already, and absent where it is not; the load average is absent
    where the system has none.
    """
    found: dict[str, Any] = {
        "machine": f"{processor_name()}{_generation()}",
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found["threads"] = torch.get_num_threads()
        found["interop_threads"] = torch.get_num_interop_threads()
    if hasattr(os, "getloadavg"):
        found["load"] = [round(value, 2) for value in os.getloadavg()]
    return found


def _generation() -> str:
    """Family and model of an x86 processor under Linux, which a virtual machine's name of it may leave out; "" where
    they are not said."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found = dict(line.replace("\t", "").split(": ", 1) for line in lines if ": " in line)
    return f" (family {found['cpu family']}, model {found['model']})" if {"cpu family", "model"} <= found.keys() else ""


def header(found: dict[str, Any]) -> str:
    """`machine()` in two lines for people."""
    lines = [f"{found['machine']}, {found['cores']} cores, {found['system']}"]
    if "threads" in found:
        lines[0] += f", torch threads {found['threads']} (between operations {found['interop_threads']})"
    if "load" in found:
        lines[0] += ", load " + " ".join(map(str, found["load"]))
    lines.append(", ".join([f"python {found['python']}", *(f"{name} {v}" for name, v in found["versions"].items())]))
    return "\n".join(lines)
