"""A training step with one compiled block for all against the same step in eager torch.

Run as `python -m benchmarks.compiled_blocks`. Encoders of the cpu scale (gpu scale where there is a GPU), forward and
backward of all blocks with their scores, dropout off as in transfer and distillation, one torch thread. Both forms sit
in one process and take turns, in an order drawn anew for every round; maps and gradients are compared before anything
is timed. What compiling costs stands beside; a compiler that finds its work in its cache on disk is quicker.
"""

import argparse
import copy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import header, machine

ROUNDS = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled_blocks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"timed rounds (default {ROUNDS})")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    print(f"{header(machine())}\n{options.rounds} interleaved rounds on {device}\n")
    for role in ("student", "teacher"):
        print(compare(role, device, options.rounds), flush=True)
    return 0


def compare(role: str, device: str, rounds: int) -> str:
    """One line: medians, the median ratio with its quartiles, and seconds of compiling."""
    import torch

    from search.training.compiling import compile_blocks

    eager, step = _encoder_and_step(role, device)
    compiled = copy.deepcopy(eager)
    compile_blocks(compiled, "blocks")
    step(eager)
    begin = time.perf_counter()
    step(compiled)
    compiling = time.perf_counter() - begin
    for one, other in zip(eager.parameters(), compiled.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-3, atol=1e-4)
    forms = {"eager": eager, "compiled": compiled}
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    generator = np.random.default_rng(0)
    for done in range(rounds + 3):
        for name in generator.permutation(list(forms)):
            begin = time.perf_counter()
            step(forms[name])
            if done >= 3:
                seconds[name].append(time.perf_counter() - begin)
    ratios = [a / b for a, b in zip(seconds["eager"], seconds["compiled"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    eager_ms, compiled_ms = (1e3 * statistics.median(seconds[name]) for name in forms)
    return (
        f"{role:8} eager {eager_ms:7.1f} ms, compiled {compiled_ms:7.1f} ms: {middle:.2f}x (quartiles {low:.2f} to "
        f"{high:.2f}); compiling took {compiling:.1f} s"
    )


def _encoder_and_step(role: str, device: str) -> tuple[Any, Callable[[Any], None]]:
    """The role's encoder, and one forward and backward on a batch of the scale's size."""
    import torch

    from model_zoo.encoder import Encoder
    from studies.data_specs import known_data_spec
    from studies.scales import sources, student_trial

    scale = "cpu" if device == "cpu" else "gpu"
    with tempfile.TemporaryDirectory() as temporary:
        spec = student_trial(scale, known_data_spec(sources(scale), Path(temporary)), 0, average_heads=False)
    assert spec.teacher is not None
    config = spec.student if role == "student" else spec.teacher.student
    torch.manual_seed(0)
    encoder = Encoder(config).to(device).eval()
    size, length = spec.recipe.pre_training.batch_size, spec.data.length
    ids = torch.randint(0, config.vocab_size, (size, length), device=device)
    mask = torch.arange(length, device=device) < torch.randint(length // 2, length + 1, (size, 1), device=device)

    def step(network: Any) -> None:
        network.zero_grad()
        output = network(ids, mask, torch.zeros_like(ids), scores=True)
        terms = [feature_map.square().mean() for feature_map in output.feature_maps]
        torch.stack([*terms, *(scores.square().mean() for scores in output.attention_scores)]).sum().backward()
        if device == "cuda":
            torch.cuda.synchronize()

    return encoder, step


if __name__ == "__main__":
    sys.exit(main())
