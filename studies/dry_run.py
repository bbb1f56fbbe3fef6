"""`thinbert show STUDY --scale paper --dry-run`: builds every model, takes real steps, says what happened."""

import time
from typing import Any

from search.dry_run import Step, build_all, real_steps
from search.latency.measure import peak_memory_bytes
from search.study import Ablation, Search, all_configurations
from search.trial import TrialSpec
from studies.terminal import size_text, time_text

BATCH_SIZE = 1
"""Sequences of a real step: what fits a machine of 16 GB beside the teacher of 294 M parameters."""
LENGTH = 128
"""Tokens of a sequence of a real step: at 512 the teacher's step alone held more than 8 GiB."""


def dry_run(declared: Search | Ablation) -> dict[str, Any]:
    """Build all models on the meta device and step every kind of stage, each in the trial that holds most in it.

    Raises:
        ValueError: a model or an optimizer has other counts than the plan, or a step's loss is not finite.
    """
    started = time.perf_counter()
    specs = _specs(declared)
    built = build_all(specs)
    recipe, length = declared.baseline.recipe, declared.baseline.data.length
    batch_size = recipe.pre_training.batch_size
    steps = [_checked(step) for step in real_steps(specs, batch_size=BATCH_SIZE, length=min(LENGTH, length))]
    return {
        "models": len(built),
        "parameters": {
            "smallest": min(one.encoder_parameters for one in built),
            "largest": max(one.encoder_parameters for one in built),
        },
        "batch_size": {"planned": batch_size, "here": BATCH_SIZE},
        "length": {"planned": length, "here": min(LENGTH, length)},
        "steps": [step._asdict() | {"ratio": step.ratio} for step in steps],
        "seconds": time.perf_counter() - started,
        "process_bytes": peak_memory_bytes(),
    }


def _specs(declared: Search | Ablation) -> list[TrialSpec]:
    if isinstance(declared, Ablation):
        return [arm.spec for arm in declared.arms]
    return [declared.baseline, *all_configurations(declared).values()]


def _checked(step: Step) -> Step:
    if not abs(step.loss) < float("inf"):
        raise ValueError(f"the loss of a step must be finite, got {step.loss} in the {step.stage}")
    return step


def dry_run_lines(found: dict[str, Any]) -> list[str]:
    """The dry run for people: a table of the steps, in Markdown."""
    low, high = found["parameters"]["smallest"], found["parameters"]["largest"]
    batch, length = found["batch_size"], found["length"]
    peak = "unknown" if found["process_bytes"] is None else size_text(found["process_bytes"])
    lines = [
        f"  dry run: {found['models']} models built on the meta device, {low:,} to {high:,} parameters, all as planned",
        "  two real steps of each kind of stage, in the trial that holds most in it, on random tokens, in float32 on "
        "the CPU;",
        f"  reduced: the batch, from {batch['planned']:,} sequences to {batch['here']}, the tokens a sequence, from "
        f"{length['planned']} to {length['here']}, and tasks to one; memory is planned for these steps",
        "",
        "| stage | loss | parameters moved | memory planned | memory held | held / planned | seconds |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {step['stage']} | {step['loss']:.4f} | {step['moved']:,} | {size_text(step['planned_bytes'])} | "
        f"{size_text(step['held_bytes'])} | {step['ratio']:.2f} | {step['seconds']:.1f} |"
        for step in found["steps"]
    ]
    lines += ["", f"  {time_text(found['seconds'])} in all; the whole process held {peak} at most"]
    return lines
