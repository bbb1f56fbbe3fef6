"""The `paper` scale planned to the last number, as `thinbert show STUDY --scale paper` prints it. Imports no torch."""

from dataclasses import replace
from typing import Any

from search.budget import Assumptions, StageBudget
from search.data.spec import DataSpec
from search.study import Ablation, Search, Study
from search.study_budget import TrialBudget, study_budget
from studies.scales import SIZES
from studies.terminal import size_text


def planned_at_paper_scale(study: Study, data: DataSpec) -> Search | Ablation:
    """The study at the paper's sizes with the paper's number of word pieces, whatever the built-in language has.

    It is for planning: the word pieces of a corpus that nobody has read have no hash.
    """
    return study.declare("paper", replace(data, vocabulary="", vocab_size=SIZES["paper"].vocab_size))


def paper_budget(declared: Search | Ablation) -> dict[str, Any]:
    """The budget as JSON: every number exact."""
    assumed = Assumptions()
    budget = study_budget(declared, assumed)
    gpu = assumed.gpu
    return {
        "vocab_size": declared.baseline.data.vocab_size,
        "gpu": gpu.name,
        "peak_flops_per_second": gpu.peak_flops_per_second,
        "source": gpu.source,
        "gpu_memory_bytes": gpu.memory_bytes,
        "assumed_share_of_peak": assumed.share_of_peak,
        "micro_batch": assumed.micro_batch,
        "activation_bytes": assumed.activation_bytes,
        "trials": [_trial(trial) for trial in budget.trials],
        "flops": budget.flops,
        "gpu_hours": budget.gpu_hours,
    }


def _trial(trial: TrialBudget) -> dict[str, Any]:
    stages = [_stage(stage) for stage in trial.stages]
    return {
        "name": trial.name,
        "count": trial.count,
        "stages": stages,
        "flops": trial.flops,
        "gpu_hours": trial.gpu_hours,
    }


def _stage(stage: StageBudget) -> dict[str, Any]:
    memory = stage.memory
    return {
        "name": stage.name,
        "steps": stage.steps,
        "batch_size": stage.batch_size,
        "length": stage.length,
        "tokens_per_step": stage.tokens_per_step,
        "tokens": stage.tokens,
        "student_flops": stage.student_flops,
        "teacher_flops": stage.teacher_flops,
        "memory_bytes": {
            "weights": memory.weights,
            "gradients": memory.gradients,
            "moments": memory.moments,
            "teacher_weights": memory.teacher_weights,
            "activations": memory.activations,
            "total": memory.total,
        },
    }


def budget_lines(budget: dict[str, Any]) -> list[str]:
    """The budget for people."""
    peak = budget["peak_flops_per_second"] / 1e12
    lines = [
        f"  planned with {budget['vocab_size']:,} word pieces on {budget['gpu']}: {peak:,.1f} TFLOP/s at its peak",
        f"  ({budget['source']})",
        f"  assumed, not measured: {budget['assumed_share_of_peak']:.0%} of that peak is sustained",
        f"  memory a GPU: at most {budget['micro_batch']} sequences at once; {budget['activation_bytes']} bytes a "
        "number kept for the backward pass, 4 of any other",
    ]
    for trial in budget["trials"]:
        lines.append(
            f"  {trial['name']}, {trial['count']} to train: {trial['flops']:.4g} FLOPs, "
            f"{trial['gpu_hours']:,.1f} GPU-hours together"
        )
        lines += _trial_lines(trial["stages"])
    lines.append(f"  the whole study: {budget['flops']:.4g} FLOPs, {budget['gpu_hours']:,.1f} GPU-hours")
    return lines


def _trial_lines(stages: list[dict[str, Any]]) -> list[str]:
    """Two lines a stage; stages that read alike (fine-tunings) share them."""
    names: dict[tuple[str, str], list[str]] = {}
    for stage in stages:
        names.setdefault(_stage_texts(stage), []).append(stage["name"])
    lines = []
    for (work, price), alike in names.items():
        lines += [f"    {alike[0]}{_others(alike[1:])}: {work}", f"      {price}"]
    return lines


def _others(names: list[str]) -> str:
    return f" and {', '.join(name.removeprefix('fine-tuning on ') for name in names)}, each" if names else ""


def _stage_texts(stage: dict[str, Any]) -> tuple[str, str]:
    memory = stage["memory_bytes"]
    parts = ", ".join(
        f"{name.replace('_', ' ')} {size_text(size)}" for name, size in memory.items() if name != "total" and size
    )
    taught = f" and the teacher's {stage['teacher_flops']:.4g}" if stage["teacher_flops"] else ""
    return (
        f"{stage['steps']:,} steps of {stage['batch_size']:,} x {stage['length']} tokens, "
        f"{stage['tokens_per_step']:,} a step, {stage['tokens']:,} in all",
        f"FLOPs {stage['student_flops']:.4g}{taught}; memory {size_text(memory['total'])}: {parts}",
    )
