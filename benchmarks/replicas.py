"""What k seeds of one arm cost as one batched computation (the engine's `ReplicaStage`), against the same seeds in
separate processes, one per core (one process on a GPU, one seed after another).

Run as `python -m benchmarks.replicas [--kind transfer|distillation|fine-tuning] [--figure FILE.png]`. A step is one
update of every seed as a training does it: drawing the batch, the teacher's forward, student forward and backward,
clipping, the recipe's optimizer. At the scale's sizes `transfer` is a step of the last block's phase, `distillation`
one of pre-training distillation, `fine-tuning` one of the first task, on its labels, without a teacher; there batches
are cut to the longest row of any seed, in a process to each seed's own. Each seed has its own teacher, student and
batches. Both ways run as the engine runs them: with one torch thread a process on a CPU, where the batched one computes
the next teacher outputs, or draws the next rows, in a second thread. Rounds are interleaved; what waits is idle.
Nothing is timed before the losses of both ways are equal.
"""

import argparse
import contextlib
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import header, machine

COUNTS = (1, 2, 4, 8, 16)
KINDS = ("transfer", "distillation", "fine-tuning")
STEPS = 5
"""Updates between two looks at the clock. With one, processes would wait for each other after every update, as real
ones do not, and the teacher's outputs for replicas would be computed ahead beside the clock."""
TOLERANCE = 1e-3
"""By which the losses of the two ways may differ."""


def measure(
    rounds: int, counts: Sequence[int] = COUNTS, *, kind: str = "transfer", smallest: bool = False
) -> list[dict[str, Any]]:
    """One row per number of replicas; every round times each number both ways. Raises ValueError where the two ways do
    not compute the same."""
    import torch

    from search.allocator import keep_freed_memory
    from search.machine import cores
    from search.training.replica_stage import batched_attention

    device = "cuda" if torch.cuda.is_available() else "cpu"
    parallel = cores() if device == "cpu" else 1
    if device == "cpu":
        keep_freed_memory()
    before = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as temporary, batched_attention():
        scale = "smoke" if smallest else "gpu" if device == "cuda" else "cpu"
        about = (scale, kind, device, Path(temporary))
        batched = {count: batched_step(count, *about) for count in counts}
        with _processes(parallel, max(counts), about) as ask:
            torch.set_num_threads(1)
            try:
                _check(batched, ask)
                seconds = _rounds(rounds, counts, {"batched": lambda count: batched[count](), "processes": ask})
            finally:
                torch.set_num_threads(before)
    return [_row(count, seconds["batched", count], seconds["processes", count]) for count in counts]


def _rounds(
    rounds: int, counts: Sequence[int], ways: dict[str, Callable[[int], Any]]
) -> dict[tuple[str, int], list[float]]:
    """Seconds of a step of each way and number in each round; the first round does not count."""
    cases = [(way, count) for way in ways for count in counts]
    seconds: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    generator = np.random.default_rng(0)
    for done in range(rounds + 1):
        for place in generator.permutation(len(cases)):
            way, count = cases[place]
            begin = time.perf_counter()
            ways[way](count)  # ends with losses on the host, so that a GPU has finished
            if done:
                seconds[way, count].append((time.perf_counter() - begin) / STEPS)
    return seconds


def _check(batched: dict[int, Callable[[], list[float]]], ask: Callable[[int], list[float]]) -> None:
    """The first step of all seeds, batched and in processes; smaller numbers take theirs too."""
    largest = max(batched)
    found = {count: step() for count, step in batched.items()}
    expected = ask(largest)
    for count, losses in found.items():
        if not np.allclose(losses, expected[:count], rtol=TOLERANCE):
            raise ValueError(f"replicas must have the losses of seeds alone, got {losses} and {expected[:count]}")


def _row(count: int, batched: Sequence[float], processes: Sequence[float]) -> dict[str, Any]:
    return {
        "replicas": count,
        "batched_ms": 1e3 * statistics.median(batched),
        "processes_ms": 1e3 * statistics.median(processes),
        "gain": statistics.median(one / many for one, many in zip(processes, batched, strict=True)),
    }


def batched_step(count: int, scale: Any, kind: str, device: str, folder: Path) -> Callable[[], list[float]]:
    """A function that trains `count` replicas for `STEPS` updates, by the engine; their losses in the last."""
    import torch

    from search.machine import cores
    from search.training.acceleration import Acceleration
    from search.training.replica_stage import ReplicaStage

    made = [_alone(seed, scale, kind, device, folder) for seed in range(count)]
    stages, all_teachers, batches = zip(*made, strict=True)
    teachers = [] if kind == "fine-tuning" else all_teachers
    on_host = [one._replace(device=torch.device("cpu")) for one in batches]
    lookahead = Acceleration(lookahead=device == "cpu" and cores() > 1)
    stage, numbers = ReplicaStage(stages, teachers, on_host, lookahead), _numbers(stages[0], kind)
    return lambda: [stage.step(next(numbers))[0] for _ in range(STEPS)][-1]


def _alone(seed: int, scale: Any, kind: str, device: str, folder: Path, *, worker: bool = False) -> Any:
    """One seed's stage, teacher and batches, as the engine makes them; of a worker, with its matrix products."""
    import torch

    from benchmarks.transfer_work import benchmark_trial
    from model_zoo.networks import PreTrainingNetwork
    from search.data.prepare import open_data
    from search.training.acceleration import OFF
    from search.training.fine_tuning import fine_tuning_stage
    from search.training.loop import learn
    from search.training.pretraining import pretraining_stage
    from search.training.products import fast_products, with_products
    from search.training.stages import Batches
    from search.training.students import task_network
    from search.training.transfer import transfer_stage

    spec = benchmark_trial(scale, folder)
    transfer = spec.recipe.knowledge_transfer
    assert spec.teacher is not None and transfer is not None
    torch.manual_seed(seed)
    student, teacher = (PreTrainingNetwork(one).to(device) for one in (spec.encoder, spec.teacher.encoder))
    teacher.eval().requires_grad_(False)
    on = with_products(OFF, device) if worker else OFF
    for one in (student, teacher):
        fast_products(one, on, torch.device(device))
    data, task = open_data(folder, spec.data), spec.data.tasks[0]
    batches = Batches(data.pretraining, seed, spec.data.length, torch.device(device))
    if kind == "fine-tuning":
        network = task_network(student, task, spec.recipe, seed).to(device)
        fast_products(network, on, torch.device(device))
        stage = fine_tuning_stage(network, task, data.tasks[task.name]["train"], spec.recipe.fine_tuning, seed)
    elif kind == "transfer":
        stage = transfer_stage(student, teacher, batches, transfer)
    else:
        stage = pretraining_stage(student, teacher, batches, spec.recipe.pre_training, 0)
    learn(stage)
    return stage, teacher, batches


def _numbers(stage: Any, kind: str) -> Iterator[int]:
    """Steps of the stage, again and again: of a transfer, those of the last block's phase."""
    blocks = len(stage.network.encoder.blocks) if kind == "transfer" else 1
    first = stage.steps - stage.steps // blocks
    while True:
        yield from range(first, stage.steps)


def _serve(place: int, parallel: int, most: int, about: Any, channel: Connection) -> None:
    """Answer each number of seeds with the last losses of `STEPS` updates of this process' share of them."""
    import torch

    from search.allocator import keep_freed_memory
    from search.training.loop import _step

    if about[2] == "cpu":
        torch.set_num_threads(1)
        keep_freed_memory()  # as the engine's workers do
    made = {seed: _alone(seed, *about, worker=True)[0] for seed in range(place, most, parallel)}
    numbers = {seed: _numbers(stage, about[1]) for seed, stage in made.items()}
    with contextlib.suppress(EOFError):
        while True:
            count = channel.recv()
            asked = {seed: stage for seed, stage in made.items() if seed < count}
            losses = {seed: [_step(stage, next(numbers[seed])) for _ in range(STEPS)] for seed, stage in asked.items()}
            channel.send({seed: values[-1] for seed, values in losses.items()})


@contextlib.contextmanager
def _processes(parallel: int, most: int, about: Any) -> Iterator[Callable[[int], list[float]]]:
    """A function that has processes train so many seeds for one update; their losses in the order of seeds."""
    context, started = multiprocessing.get_context("spawn"), []
    for place in range(min(parallel, most)):
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(place, parallel, most, about, theirs), daemon=True)
        process.start()
        theirs.close()
        started.append((ours, process))

    def ask(count: int) -> list[float]:
        asked = started[:count]  # where there are fewer seeds than processes, the others have none
        for channel, _ in asked:
            channel.send(count)
        losses: dict[int, float] = {}
        for channel, _ in asked:
            losses |= channel.recv()
        return [losses[seed] for seed in range(count)]

    try:
        yield ask
    finally:
        for channel, process in started:
            channel.close()
            process.join(20)
            process.kill()


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for people."""
    lines = [f"{'replicas':>8} {'batched':>10} {'processes':>10} {'times one':>10} {'gain':>6}"]
    for row in rows:
        times = row["batched_ms"] / rows[0]["batched_ms"]
        lines.append(
            f"{row['replicas']:8} {row['batched_ms']:7.1f} ms {row['processes_ms']:7.1f} ms {times:9.2f}x "
            f"{row['gain']:5.2f}x"
        )
    return "\n".join(lines)


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Cost against the number of replicas, both ways."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid")
    figure, axes = plt.subplots(figsize=(6, 4))
    for key, label in (("batched_ms", "one batched computation"), ("processes_ms", "separate processes")):
        sns.lineplot(x=[r["replicas"] for r in rows], y=[r[key] for r in rows], marker="o", label=label, ax=axes)
    axes.set(xscale="log", yscale="log", xlabel="seeds", ylabel="one step of all, ms")
    axes.set_xticks([r["replicas"] for r in rows], [str(r["replicas"]) for r in rows])
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replicas", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0], help="what is trained (default transfer)")
    parser.add_argument("--figure", type=Path, help="a PNG file for cost against the number of replicas")
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds (default 9)")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    import torch

    rows = measure(options.rounds, kind=options.kind)
    gpu = "" if torch.cuda.is_available() else "\n\ngpu scale: no GPU"
    print(f"{header(machine())}\n{options.kind}, {options.rounds} rounds\n\n{table(rows)}{gpu}")
    if options.figure is not None:
        draw(rows, options.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
