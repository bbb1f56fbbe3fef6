"""Where the time of one call goes, by operation: torch's own profile, and ONNX Runtime's."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from model_zoo.onnx_export import Inputs

CALLS = 10
SHOWN = 8
KINDS = {
    "rounding to int8": ("quantizelinear",),
    "norms": ("norm", "addcmul"),
    "attention": ("attention", "softmax"),
    "activation": ("gelu", "relu", "clamp_min", "erf"),
    "matrix products": ("mm", "matmul", "linear"),
    "generated code": ("compiledfxgraph", "cpp_fused"),
}
"""What the names of operations hold, by kind; the first that fits counts. NoNorm is `addcmul` in torch and folded away
in ONNX files; attention is its products and its softmax where they are one operation, else the softmax alone; compiled
code is one with norms, activations and sums in it."""


def eager_profile(function: Callable[[], object]) -> dict[str, float]:
    """Milliseconds of a call by torch operation, its own time without that of what it calls."""
    import torch

    function()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(CALLS):
            function()
    found: Counter[str] = Counter()
    for event in profile.key_averages():
        # Generated code goes by a hash of what it was made from.
        name = "CompiledFxGraph" if "CompiledFxGraph" in event.key else event.key
        found[name] += event.self_cpu_time_total / 1e3 / CALLS
    return dict(found)


def onnx_profile(path: Path, inputs: Inputs, *, threads: int) -> dict[str, float]:
    """Milliseconds of a call by ONNX operation, from a session of its own; its first call does not count."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.enable_profiling, options.profile_file_prefix = True, str(path.with_suffix(""))
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    for _ in range(CALLS + 1):
        session.run(None, inputs._asdict())
    events = json.loads(Path(session.end_profiling()).read_text())
    return by_operation(events)


def by_operation(events: list[dict]) -> dict[str, float]:  # type: ignore[type-arg]
    """Milliseconds of a call by operation, of a profile of CALLS + 1 calls whose first is left out."""
    kernels = [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    kernels.sort(key=lambda event: event["ts"])
    found: Counter[str] = Counter()
    for event in kernels[len(kernels) // (CALLS + 1) :]:
        found[event["args"]["op_name"]] += event["dur"] / 1e3 / CALLS
    return dict(found)


def profile_text(milliseconds: Mapping[str, float]) -> str:
    """The largest parts in one line, with their shares."""
    total = sum(milliseconds.values())
    largest = sorted(milliseconds.items(), key=lambda item: -item[1])[:SHOWN]
    parts = ", ".join(f"{name} {value:.2f} ms ({value / total:.0%})" for name, value in largest)
    return f"{total:.1f} ms: {parts}"


def kind(operation: str) -> str:
    """What an operation of torch or ONNX Runtime is for, one of KINDS.

    >>> kind("aten::addmm"), kind("aten::addcmul"), kind("DynamicQuantizeLinear"), kind("Transpose")
    ('matrix products', 'norms', 'rounding to int8', 'rest')
    """
    name = operation.lower()
    return next((one for one, parts in KINDS.items() if any(part in name for part in parts)), "rest")


def shares(milliseconds: Mapping[str, float]) -> dict[str, float]:
    """Each kind's part of the time, the kinds that there are."""
    total, found = sum(milliseconds.values()), Counter[str]()
    for operation, value in milliseconds.items():
        found[kind(operation)] += value / total
    return {one: found[one] for one in (*KINDS, "rest") if one in found}


def shares_text(found: Mapping[str, float]) -> str:
    """`shares` in one line."""
    return ", ".join(f"{one} {share:.0%}" for one, share in found.items())
