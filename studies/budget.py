"""The `paper` scale planned to the last number, as `thinbert show STUDY --scale paper` prints it. Imports no torch."""

from dataclasses import replace
from typing import Any

from search.budget import Assumptions, StageBudget, gpu_hours
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
        "trials": [_trial(trial, assumed) for trial in budget.trials],
        "flops": budget.flops,
        "gpu_hours": budget.gpu_hours,
    }


def _trial(trial: TrialBudget, assumed: Assumptions) -> dict[str, Any]:
    stages = [_stage(stage, assumed) for stage in trial.stages]
    return {
        "name": trial.name,
        "count": trial.count,
        "stages": stages,
        "flops": trial.flops,
        "gpu_hours": trial.gpu_hours,
    }


def _stage(stage: StageBudget, assumed: Assumptions) -> dict[str, Any]:
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
        "gpu_hours": gpu_hours(stage.flops, assumed),
        "memory_bytes": {
            "weights": memory.weights,
            "gradients": memory.gradients,
            "moments": memory.moments,
            "teacher_weights": memory.teacher_weights,
            "waiting": memory.waiting,
            "activations": memory.activations,
            "stepping": memory.stepping,
            "total": memory.total,
        },
    }


def budget_lines(budget: dict[str, Any]) -> list[str]:
    """The budget for people: what is assumed, and two tables in Markdown, of the work and of one GPU's memory."""
    peak = budget["peak_flops_per_second"] / 1e12
    return [
        f"  planned with {budget['vocab_size']:,} word pieces on {budget['gpu']}: {peak:,.1f} TFLOP/s at its peak, "
        f"{size_text(budget['gpu_memory_bytes'])}",
        f"  ({budget['source']})",
        f"  assumed, not measured: {budget['assumed_share_of_peak']:.0%} of that peak is sustained",
        f"  memory of one GPU: at most {budget['micro_batch']} sequences at once; {budget['activation_bytes']} bytes a "
        "number kept for the backward pass, 4 of weights, moments, logits and what losses compare",
        "  stages are those of one trial, GPU-hours too; fine-tunings that cost the same share a row",
        "",
        *_work_table(budget),
        "",
        *_memory_table(budget),
        "",
        f"  the whole study: {budget['flops']:.4g} FLOPs, {budget['gpu_hours']:,.1f} GPU-hours",
    ]


def _work_table(budget: dict[str, Any]) -> list[str]:
    lines = [
        "| trial | stage | steps | batch x tokens | tokens a step | tokens | student's FLOPs | teacher's FLOPs "
        "| memory | GPU-hours |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for trial in budget["trials"]:
        for name, stage in _rows(trial["stages"]):
            lines.append(
                f"| {_cell(trial['name'])} | {name} | {stage['steps']:,} | {stage['batch_size']:,} x "
                f"{stage['length']} | {stage['tokens_per_step']:,} | {stage['tokens']:,} | "
                f"{stage['student_flops']:.4g} | {stage['teacher_flops']:.4g} | "
                f"{size_text(stage['memory_bytes']['total'])} | {stage['gpu_hours']:,.2f} |"
            )
        lines.append(
            f"| {_cell(trial['name'])} | all {trial['count']} to train | | | | | {trial['flops']:.4g} with the "
            f"teacher's | | | {trial['gpu_hours']:,.1f} |"
        )
    return lines


def _memory_table(budget: dict[str, Any]) -> list[str]:
    """The fullest row of each kind of stage of each trial, part by part; activations are gone when an optimizer
    steps."""
    parts = ("weights", "gradients", "moments", "teacher_weights", "waiting", "activations", "stepping", "total")
    heads = [part.replace("_", " ") for part in parts]
    lines = [f"| trial | stage | {' | '.join(heads)} |", f"|---|---|{'--:|' * len(parts)}"]
    for trial in budget["trials"]:
        fullest: dict[str, tuple[str, dict[str, Any]]] = {}
        for name, stage in _rows(trial["stages"]):
            kind = stage["name"].partition("/")[0]
            if kind not in fullest or stage["memory_bytes"]["total"] > fullest[kind][1]["memory_bytes"]["total"]:
                fullest[kind] = (name, stage)
        for name, stage in fullest.values():
            sizes = " | ".join(size_text(stage["memory_bytes"][part]) for part in parts)
            lines.append(f"| {_cell(trial['name'])} | {name} | {sizes} |")
    return lines


def _rows(stages: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Stages with their names; those of one kind that do the same work are one row, with the fullest one's memory."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for stage in stages:
        work = (stage["steps"], stage["batch_size"], stage["student_flops"], stage["teacher_flops"])
        found.setdefault((stage["name"].partition("/")[0], *work), []).append(stage)
    rows = []
    for (kind, *_), alike in found.items():
        tasks = [stage["name"].partition("/")[2] for stage in alike]
        name = f"{kind} on {', '.join(tasks)}{', each' if len(tasks) > 1 else ''}" if tasks[0] else kind
        rows.append((name, max(alike, key=lambda stage: stage["memory_bytes"]["total"])))
    return rows


def _cell(text: str) -> str:
    return text.replace("|", "/")
