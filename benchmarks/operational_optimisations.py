"""The paper's Table 7 here: what NoNorm and relu save at full MobileBERT size, in each runtime, and why.

Run as `python -m benchmarks.operational_optimisations [--runtime eager --runtime onnx-int8]`. All four encoders in all
runtimes are timed in the same shuffled rounds (about 5 GB of memory); ratios are to LayerNorm & gelu of the same
runtime and round, beside the paper's (Sun et al. 2020, Table 7: 192, 167, 92 and 62 ms on a phone). Then, from a
profile of every runtime, where the time goes by kind of operation; and whether eager is bound by launching operations
or by computing them: how long the same operations take on a single token, and what compiling saves.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import header, machine
from benchmarks.passes import AGAIN, Passes, Timings, build, milliseconds, ratio, time_passes
from benchmarks.profiles import eager_profile, onnx_profile, profile_text, shares, shares_text
from model_zoo.config import EncoderConfig
from model_zoo.onnx_export import Inputs
from model_zoo.presets import PRESETS
from search.latency.case import PAPER, LatencyCase, Runtime
from search.latency.deployed import FLOAT_FILE, INT8_FILE
from search.latency.protocol import Protocol

PUBLISHED_MS = {
    "LayerNorm & gelu": 192,
    "LayerNorm & relu": 167,
    "NoNorm & gelu": 92,
    "NoNorm & relu": 62,
}
FIRST = "LayerNorm & gelu"
RUNTIMES: tuple[Runtime, ...] = ("eager", "compile", "folded", "onnx", "onnx-int8")
FILES: dict[Runtime, str] = {"onnx": FLOAT_FILE, "onnx-int8": INT8_FILE}
TOKEN = ", one token"


def variants(*, smallest: bool = False) -> dict[str, EncoderConfig]:
    """The four rows of the table, at MobileBERT's own size or, to try the benchmark, at a tiny one."""
    base = PRESETS["mobilebert"]()
    if smallest:
        sizes = {"hidden_size": 32, "bottleneck_size": 8, "num_heads": 2, "feed_forward_size": 32, "embedding_size": 8}
        base = replace(base, num_layers=1, vocab_size=100, max_positions=PAPER.length, **sizes)
    return {
        "LayerNorm & gelu": replace(base, norm="layer_norm", activation="gelu"),
        "LayerNorm & relu": replace(base, norm="layer_norm", activation="relu"),
        "NoNorm & gelu": replace(base, norm="no_norm", activation="gelu"),
        "NoNorm & relu": replace(base, norm="no_norm", activation="relu"),
    }


def measure(
    configs: Mapping[str, EncoderConfig], runtimes: Sequence[Runtime], case: LatencyCase, protocol: Protocol
) -> dict[str, Any]:
    """Rows, profiles and what eager is bound by, ready for JSON.

    Args:
        protocol: of the one session; its seconds are for all runtimes together.
    """
    with tempfile.TemporaryDirectory() as name:
        folders = {part: Path(name) / part for part in ("all", "token")}
        for folder in folders.values():
            folder.mkdir()
        passes = build(configs, case, runtimes, folders["all"])
        alone = {f"{one}{TOKEN}": config for one, config in configs.items()}
        tokens = build(alone, replace(case, length=1), [one for one in runtimes if one == "eager"], folders["token"])
        timings = time_passes({**passes, **tokens}, case.threads, protocol)
        with torch.inference_mode():  # compiled code is of the mode that it was made in
            profiles = profiled(configs, runtimes, passes, case, folders["all"])
    rows = [row(timings, one, runtime) for runtime in runtimes for one in (*configs, f"{FIRST}{AGAIN}")]
    bounds = [bound(timings, one) for one in configs if (one, "eager") in passes]
    return {"rounds": timings.rounds, "rows": rows, "profiles": profiles, "bounds": bounds}


def row(timings: Timings, encoder: str, runtime: Runtime) -> dict[str, Any]:
    """One line of the table."""
    found = {"runtime": runtime, "encoder": encoder, "ms": milliseconds(timings, (encoder, runtime))}
    published = PUBLISHED_MS[encoder.removesuffix(AGAIN)] / PUBLISHED_MS[FIRST]
    return found | compared(timings, (encoder, runtime), (FIRST, runtime)) | {"paper": published}


def compared(timings: Timings, name: tuple[str, Runtime], reference: tuple[str, Runtime]) -> dict[str, Any]:
    """A ratio and its interval, which a single round has not."""
    found = ratio(timings, name, reference)
    interval = None if found.interval is None else [found.interval.low, found.interval.high]
    return {"ratio": found.value, "interval": interval}


def bound(timings: Timings, encoder: str) -> dict[str, Any]:
    """What eager is bound by: launching, where the same operations on one token take more than half of the time."""
    alone = compared(timings, (f"{encoder}{TOKEN}", "eager"), (encoder, "eager"))
    found = {"encoder": encoder, "one_token": alone, "bound": "launch" if alone["ratio"] > 0.5 else "compute"}
    if (encoder, "compile") in timings.call_ns:
        found["compiled"] = compared(timings, (encoder, "compile"), (encoder, "eager"))
    return found


def profiled(
    configs: Mapping[str, EncoderConfig], runtimes: Sequence[Runtime], passes: Passes, case: LatencyCase, folder: Path
) -> list[dict[str, Any]]:
    """Milliseconds by operation, and shares by kind, of every encoder in every runtime."""
    found = []
    for runtime in runtimes:
        for place, (name, config) in enumerate(configs.items()):
            if runtime in FILES:
                ids = np.random.default_rng(0).integers(config.vocab_size, size=(case.batch, case.length))
                inputs = Inputs(ids, np.ones_like(ids), np.zeros_like(ids))
                spent = onnx_profile(folder / str(place) / FILES[runtime], inputs, threads=case.threads)
            else:
                spent = eager_profile(passes[name, runtime])
            found.append({"runtime": runtime, "encoder": name, "operations_ms": spent, "shares": shares(spent)})
    return found


def table(document: Mapping[str, Any]) -> str:
    """The document for people."""
    lines = []
    for runtime in dict.fromkeys(one["runtime"] for one in document["rows"]):
        lines.append(f"{runtime:24} {'ms':>7} {'ratio':>7}  {'95 % interval':16} paper")
        for one in (found for found in document["rows"] if found["runtime"] == runtime):
            lines.append(f"{one['encoder']:24} {one['ms']:7.1f} {_ratio_text(one)}  {one['paper']:.2f}")
        for one in (found for found in document["profiles"] if found["runtime"] == runtime):
            lines.append(f"  {one['encoder']}: {shares_text(one['shares'])}")
            lines.append(f"    of {profile_text(one['operations_ms'])}")
        lines.append("")
    for one in document["bounds"]:
        compiled = f"; compiled takes {_of_eager(one['compiled'])}" if "compiled" in one else ""
        said = f"its operations on one token take {_of_eager(one['one_token'])}{compiled}"
        lines.append(f"{one['encoder']}, eager: {one['bound']}-bound; {said}")
    return "\n".join(lines).rstrip()


def _ratio_text(found: Mapping[str, Any]) -> str:
    interval = found["interval"]
    spread = "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
    return f"{found['ratio']:7.3f}  {spread:16}"


def _of_eager(found: Mapping[str, Any]) -> str:
    interval = found["interval"]
    return f"{found['ratio']:.2f} of eager" + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark: 0, or 2 where it could not measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operational_optimisations", description=__doc__)
    parser.add_argument("--runtime", action="append", choices=RUNTIMES, help="several times for several (default all)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=45.0, help="the most per runtime (default 45)")
    parser.add_argument("--rounds", type=int, default=200, help="the most samples of every encoder (default 200)")
    parser.add_argument("--smallest", action="store_true", help="tiny encoders, to try the benchmark itself")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything there")
    options = parser.parse_args(arguments)
    runtimes = tuple(dict.fromkeys(options.runtime or RUNTIMES))
    try:
        case = replace(PAPER, threads=options.threads)
        protocol = Protocol(
            least_rounds=1, most_rounds=options.rounds, seconds=options.seconds * len(runtimes), interval_width=None
        )
        found = measure(variants(smallest=options.smallest), runtimes, case, protocol)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    size = "tiny encoders" if options.smallest else "MobileBERT's own size"
    threads = f"{case.threads} thread{'s' if case.threads > 1 else ''}"
    print(f"{header(machine())}\n{size}, batch {case.batch} x {case.length}, {threads}, float32 ", end="")
    print(f"(onnx-int8: dynamic int8), {found['rounds']} rounds\n\n{table(found)}")
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine(), **found}, indent=1, allow_nan=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
