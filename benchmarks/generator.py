"""Whether the built-in language is worth learning: for each of its tasks the majority class, a bag-of-words logistic
regression, and the teachers of the smoke and cpu scales with their training times.

Run as `python -m benchmarks.generator`. Teachers are trained anew, with one torch thread, which takes minutes; their
times are those of the whole training, pre-training and all tasks together. Scores are on test, in per cent.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import header, machine

SCALES = ("smoke", "cpu")
MOST_ABOVE_MAJORITY = 10.0
LEAST_ABOVE_BAG_OF_WORDS = 25.0
MOST_SCORE = 98.0
MOST_SECONDS = 300.0


def floors() -> list[dict[str, Any]]:
    """One row per task; spans and regressions have no class and so no floor (null)."""
    from benchmarks.bag_of_words import bag_of_words, majority
    from search.data.generator import generate
    from studies.scales import GENERATED_TASKS, SIZES

    tasks = generate(SIZES["cpu"].generator).tasks
    rows: list[dict[str, Any]] = []
    for name in GENERATED_TASKS:
        task = tasks[name]
        classes = task.kind == "classification"
        row = {"task": name, "kind": task.kind, "metric": task.metric, "majority": None, "bag_of_words": None}
        rows.append(
            row | ({"majority": majority(task.splits), "bag_of_words": bag_of_words(task.splits)} if classes else {})
        )
    return rows


def train_teacher(scale: str, seed: int) -> dict[str, Any]:
    """Train one teacher as a study would: its scores by task, and its times in seconds."""
    import torch

    from search.data.prepare import open_data, prepare
    from search.training.loop import Keeper
    from search.training.train import train
    from studies.scales import sources, teacher_trial

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = prepare(sources(scale), folder / "data")  # type: ignore[arg-type]
        trial = teacher_trial(scale, spec, seed)  # type: ignore[arg-type]
        start = time.perf_counter()
        outcome = train(trial, open_data(folder / "data", spec), keeper=Keeper(path=folder / "checkpoint.safetensors"))
        wall_seconds = time.perf_counter() - start
    if outcome.status != "complete":
        raise ValueError(f"the {scale} teacher must finish its training, got {outcome.status}: {outcome.reason}")
    found = {one.metric: one.value for one in outcome.measurements}
    scores = {task.name: found[f"{task.name}/{task.metric}"] for task in spec.tasks}
    return {"scores": scores, "train_seconds": found["train_seconds"], "wall_seconds": wall_seconds}


def goals(rows: Sequence[dict[str, Any]], teachers: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Each goal of the generator with what was measured; those about the cpu teacher only where it was trained."""
    classes = [row for row in rows if row["bag_of_words"] is not None]
    low = [row for row in classes if row["bag_of_words"] - row["majority"] <= MOST_ABOVE_MAJORITY]
    names = [row["task"] for row in low]
    found = [_goal("bag of words near the majority on two tasks", len(low) >= 2, ", ".join(names))]
    if "cpu" in teachers:
        scores = teachers["cpu"]["scores"]
        gains = {row["task"]: scores[row["task"]] - row["bag_of_words"] for row in low}
        wide = sum(gain >= LEAST_ABOVE_BAG_OF_WORDS for gain in gains.values()) >= 2
        listed = ", ".join(f"{name} {gain:+.1f}" for name, gain in gains.items())
        found.append(_goal(f"cpu teacher {LEAST_ABOVE_BAG_OF_WORDS:.0f} points above it on two of those", wide, listed))
        seconds = teachers["cpu"]["wall_seconds"]
        found.append(_goal(f"cpu teacher within {MOST_SECONDS:.0f} s", seconds <= MOST_SECONDS, f"{seconds:.0f} s"))
    highest = max((score for teacher in teachers.values() for score in teacher["scores"].values()), default=None)
    if highest is not None:
        found.append(_goal(f"no task above {MOST_SCORE:.0f} %", highest <= MOST_SCORE, f"highest {highest:.1f} %"))
    return found


def table(rows: Sequence[dict[str, Any]], teachers: dict[str, dict[str, Any]]) -> str:
    """Tasks and, below, training times, for people."""
    columns = [f"{scale} teacher" for scale in teachers]
    lines = [
        f"{'task':15}{'metric':10}{'majority':>10}{'bag of words':>14}" + "".join(f"{name:>15}" for name in columns)
    ]
    for row in rows:
        floor = f"{_number(row['majority']):>10}{_number(row['bag_of_words']):>14}"
        scores = "".join(f"{_number(teacher['scores'][row['task']]):>15}" for teacher in teachers.values())
        lines.append(f"{row['task']:15}{row['metric']:10}{floor}{scores}")
    for key, name in (("train_seconds", "processor time"), ("wall_seconds", "wall time")):
        times = [f"{teacher[key]:.0f} s" for teacher in teachers.values()]
        lines.append(f"{name:49}" + "".join(f"{text:>15}" for text in times))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark: 0, or 2 where it could not measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generator", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--scales", nargs="*", choices=SCALES, default=list(SCALES), help="teachers to train")
    parser.add_argument("--seed", type=int, default=0, help="of the teachers (default 0)")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"--seed must be at least 0, got {options.seed}")
    try:
        rows = floors()
        teachers = {scale: train_teacher(scale, options.seed) for scale in dict.fromkeys(options.scales)}
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    now, reached = machine(), goals(rows, teachers)
    if options.json:
        document = {"machine": now, "seed": options.seed, "tasks": rows, "teachers": teachers, "goals": reached}
        print(json.dumps(document, indent=1))
    else:
        listed = "\n".join(f"{'met' if one['met'] else 'MISSED':7}{one['goal']}: {one['measured']}" for one in reached)
        print(f"{header(now)}\nseed {options.seed}, scores on test in %\n\n{table(rows, teachers)}\n\n{listed}")
    return 0


def _goal(goal: str, met: bool, measured: str) -> dict[str, Any]:
    return {"goal": goal, "met": met, "measured": measured}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
