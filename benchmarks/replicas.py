"""What k seeds of one arm cost as one batched computation (stacked parameters, torch.func.vmap), against the same seeds
in separate processes, one per core.

Run as `python -m benchmarks.replicas [--figure FILE.png]`. A step is a knowledge-transfer step of the last block at the
scale's sizes: teacher forward, student forward and backward, AdamW; each replica has its own teacher, student, batch.
The alternative on a CPU is one process per core with one torch thread each. Its cost is computed from one seed that
trains alone with one thread: k steps over the number of cores, as if cores did not disturb each other. On a GPU it is
one seed after another.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import header, machine

COUNTS = (1, 2, 4, 8, 16)
COMPUTED = "processes (and so the gain): computed from one seed that trains alone with one thread; not run"


def measure(rounds: int, counts: Sequence[int] = COUNTS, *, smallest: bool = False) -> list[dict[str, Any]]:
    """One row per number of replicas; every round times all of them, and one seed with one thread."""
    import torch

    from search.machine import cores

    device = "cuda" if torch.cuda.is_available() else "cpu"
    parallel = cores() if device == "cpu" else 1
    with tempfile.TemporaryDirectory() as folder:
        steps = {count: replicated_step(count, device, Path(folder), smallest) for count in counts}
    seconds: dict[int, list[float]] = {count: [] for count in (0, *counts)}
    for done in range(rounds + 1):
        for count in seconds:  # 0 is one seed in a process of its own
            torch.set_num_threads(1 if count == 0 else parallel)
            begin = time.perf_counter()
            steps[count or 1]()
            if device == "cuda":
                torch.cuda.synchronize()
            if done:
                seconds[count].append(time.perf_counter() - begin)
    return [_row(count, seconds[count], seconds[0], parallel) for count in counts]


def _row(count: int, batched: Sequence[float], alone: Sequence[float], parallel: int) -> dict[str, Any]:
    """Where fewer replicas than cores run, the alternative still takes one step."""
    waves = max(1.0, count / parallel)
    return {
        "replicas": count,
        "batched_ms": 1e3 * statistics.median(batched),
        "processes_ms": 1e3 * statistics.median(alone) * waves,
        "gain": statistics.median(waves * one / many for one, many in zip(alone, batched, strict=True)),
    }


def replicated_step(count: int, device: str, folder: Path, smallest: bool = False) -> Callable[[], Any]:
    """A function that trains `count` replicas for one step."""
    import torch
    from torch.func import functional_call, stack_module_state, vmap

    from benchmarks.transfer_work import benchmark_trial
    from model_zoo.encoder import Encoder
    from search.data.prepare import open_data
    from search.distillation.losses import attention_transfer_loss, feature_map_loss_normalised
    from search.training.stages import Batches

    spec = benchmark_trial("smoke" if smallest else "gpu" if device == "cuda" else "cpu", folder)
    assert spec.teacher is not None
    transfer = spec.recipe.knowledge_transfer
    assert transfer is not None
    students, teachers = [], []
    for seed in range(count):
        torch.manual_seed(seed)
        students.append(Encoder(spec.student).to(device))
        teachers.append(Encoder(spec.teacher.student).to(device))
    student, teacher = (Encoder(config).eval().to("meta") for config in (spec.student, spec.teacher.student))
    weights = {name: tensor.detach().requires_grad_() for name, tensor in stack_module_state(students)[0].items()}
    fixed = {name: tensor.detach() for name, tensor in stack_module_state(teachers)[0].items()}
    optimizer = torch.optim.AdamW(list(weights.values()), lr=1e-3, fused=True)
    data = open_data(folder, spec.data).pretraining
    batches = [
        Batches(data, seed, spec.data.length, torch.device(device)).get(0, transfer.batch_size) for seed in range(count)
    ]
    inputs = [torch.stack([getattr(batch, name) for batch in batches]) for name in ("token_ids", "mask", "token_types")]

    def teach(own: Any, ids: Any, mask: Any, types: Any) -> Any:
        output = functional_call(teacher, own, (ids, mask, types), {"scores": True})
        return output.feature_maps[-1], output.attention_scores[-1]

    def loss(own: Any, ids: Any, mask: Any, types: Any, maps: Any, scores: Any) -> Any:
        output = functional_call(student, own, (ids, mask, types), {"scores": True})
        attention = attention_transfer_loss(output.attention_scores[-1], scores, mask, average_heads=False)
        return feature_map_loss_normalised(output.feature_maps[-1], maps, mask) + attention

    def step() -> Any:
        with torch.no_grad():
            taught = vmap(teach)(fixed, *inputs)
        losses = vmap(loss)(weights, *inputs, *taught)
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
        return losses.detach()

    return step


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for people."""
    lines = [f"{'replicas':>8} {'batched':>10} {'processes':>10} {'times one':>10} {'gain':>6}"]
    for row in rows:
        times = row["batched_ms"] / rows[0]["batched_ms"]
        lines.append(
            f"{row['replicas']:8} {row['batched_ms']:7.1f} ms {row['processes_ms']:7.1f} ms {times:9.2f}x "
            f"{row['gain']:5.2f}x"
        )
    return "\n".join([*lines, COMPUTED])


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Cost against the number of replicas, both ways."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid")
    figure, axes = plt.subplots(figsize=(6, 4))
    for key, label in (("batched_ms", "one batched computation"), ("processes_ms", "separate processes (computed)")):
        sns.lineplot(x=[r["replicas"] for r in rows], y=[r[key] for r in rows], marker="o", label=label, ax=axes)
    axes.set(xscale="log", yscale="log", xlabel="seeds", ylabel="one step of all, ms")
    axes.set_xticks([r["replicas"] for r in rows], [str(r["replicas"]) for r in rows])
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replicas", description=__doc__)
    parser.add_argument("--figure", type=Path, help="a PNG file for cost against the number of replicas")
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds (default 9)")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    import torch

    rows = measure(options.rounds)
    gpu = "" if torch.cuda.is_available() else "\n\ngpu scale: no GPU"
    print(f"{header(machine())}\n{options.rounds} rounds\n\n{table(rows)}{gpu}")
    if options.figure is not None:
        draw(rows, options.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
