"""`thinbert show STUDY --scale paper --dry-run`: builds every model, takes one real step, says what happened."""

from typing import Any

from model_zoo.config import EncoderConfig
from search.dry_run import Step, build_all, real_steps
from search.study import Ablation, Search, all_configurations
from search.trial import TrialSpec
from studies.terminal import size_text, time_text

BATCH_SIZE = 1
"""Sequences of the real step: what fits a machine of 8 GB beside the teacher of 294 M parameters."""
LENGTH = 128
"""Tokens of a sequence of the real step: at 512 the teacher's step alone held more than 8 GiB."""


def dry_run(declared: Search | Ablation) -> dict[str, Any]:
    """Build all models on the meta device and step the trial that does most.

    Raises:
        ValueError: a model has other counts than the plan, or a step's loss is not finite.
    """
    specs = _specs(declared)
    built = build_all(specs)
    encoders = [spec for spec in specs if isinstance(spec.student, EncoderConfig)] or specs
    chosen = next((spec for spec in encoders if spec.teacher is not None), encoders[0])
    length = min(LENGTH, chosen.data.length)
    steps = [_checked(step) for step in real_steps(chosen, batch_size=BATCH_SIZE, length=length)]
    return {
        "models": len(built),
        "parameters": {
            "smallest": min(one.encoder_parameters for one in built),
            "largest": max(one.encoder_parameters for one in built),
        },
        "batch_size": {"planned": chosen.recipe.pre_training.batch_size, "here": BATCH_SIZE},
        "length": {"planned": chosen.data.length, "here": length},
        "steps": [step._asdict() for step in steps],
    }


def _specs(declared: Search | Ablation) -> list[TrialSpec]:
    if isinstance(declared, Ablation):
        return [arm.spec for arm in declared.arms]
    return [declared.baseline, *all_configurations(declared).values()]


def _checked(step: Step) -> Step:
    if not abs(step.loss) < float("inf"):
        raise ValueError(f"the loss of one step must be finite, got {step.loss} in the {step.stage}")
    return step


def dry_run_lines(found: dict[str, Any]) -> list[str]:
    """The dry run for people."""
    low, high = found["parameters"]["smallest"], found["parameters"]["largest"]
    batch = found["batch_size"]
    lines = [
        f"  dry run: {found['models']} models built on the meta device, {low:,} to {high:,} parameters, all as planned",
        f"  one real step of each stage on random tokens, in float32 on the CPU; reduced: the batch, from "
        f"{batch['planned']:,} sequences to {batch['here']}, "
        f"and the tokens a sequence, from {found['length']['planned']} to {found['length']['here']}",
    ]
    for step in found["steps"]:
        peak = "unknown" if step["peak_bytes"] is None else size_text(step["peak_bytes"])
        lines.append(
            f"    {step['stage']}: loss {step['loss']:.4f}, {step['moved']:,} parameters moved, "
            f"{time_text(step['seconds'])}, peak memory {peak}"
        )
    return lines
