"""The paper scale as `show` prints it: stages as the paper has them, tables that add up."""

from pathlib import Path
from typing import Any

import pytest

from studies.budget import budget_lines
from studies.overview import overview


def budget_of(study: str, runs: Path) -> dict[str, Any]:
    found: dict[str, Any] = overview(study, "paper", runs)["budget"]
    return found


def stages(budget: dict[str, Any], trial: str) -> list[tuple[str, int, int]]:
    (found,) = [one for one in budget["trials"] if one["name"] == trial]
    return [(stage["name"], stage["steps"], stage["batch_size"]) for stage in found["stages"]]


def test_the_strategies_have_the_papers_stages(tmp_path: Path) -> None:
    """Sun et al. 2020, section 4: 240,000 updates of transfer, 500,000 of distillation, batches of 4,096."""
    budget = budget_of("training-strategies", tmp_path)
    assert stages(budget, "AKT")[:1] == [("auxiliary", 740_000, 4096)]
    for name in ("JKT", "PKT"):
        assert stages(budget, name)[:2] == [("transfer", 240_000, 4096), ("distillation", 500_000, 4096)]
    transfers = {one["name"]: one["stages"][0]["teacher_flops"] for one in budget["trials"]}
    # 24 blocks one after another are 25 / 48 of 24 at once, and the embedding a little on top.
    assert transfers["PKT"] / transfers["JKT"] == pytest.approx(25 / 48, rel=0.01)
    (teacher,) = [one for one in budget["trials"] if one["name"] == "teacher"]
    assert (teacher["count"], teacher["stages"][0]["tokens"]) == (8, 500_000 * 4096 * 512)


def test_the_methods_have_the_stages_that_training_has(tmp_path: Path) -> None:
    budget = budget_of("transfer-methods", tmp_path)
    names = [name for name, *_ in stages(budget, "TinyBERT")]
    assert names[:3] == ["transfer", "intermediate/acceptability", "fine-tuning/acceptability"]
    assert len(names) == 1 + 2 * 5
    for arm in ("multi-task", "multi-task distillation"):
        assert stages(budget, arm) == [("pre-training", 740_000, 4096), ("multi-task", 100_000, 32)]


def test_the_tables_are_complete_and_add_up(tmp_path: Path) -> None:
    budget = budget_of("training-objectives", tmp_path)
    rate = budget["peak_flops_per_second"] * budget["assumed_share_of_peak"] * 3600
    for trial in budget["trials"]:
        flops = sum(stage["student_flops"] + stage["teacher_flops"] for stage in trial["stages"])
        assert trial["flops"] == trial["count"] * flops
        assert trial["gpu_hours"] == pytest.approx(trial["flops"] / rate)
        assert sum(stage["gpu_hours"] for stage in trial["stages"]) == pytest.approx(flops / rate)
        for stage in trial["stages"]:
            memory = stage["memory_bytes"]
            together = sum(memory[part] for part in ("weights", "gradients", "moments", "teacher_weights", "waiting"))
            assert memory["total"] == together + max(memory["activations"], memory["stepping"])
            assert memory["total"] < budget["gpu_memory_bytes"], (trial["name"], stage["name"])
    assert budget["gpu_hours"] == pytest.approx(sum(trial["gpu_hours"] for trial in budget["trials"]))
    lines = budget_lines(budget)
    head = next(line for line in lines if line.startswith("| trial | stage | steps"))
    for column in ("steps", "batch x tokens", "tokens", "student's FLOPs", "teacher's FLOPs", "memory", "GPU-hours"):
        assert f"| {column} |" in head
    rows = [line for line in lines if line.startswith("|") and not line.startswith("|---")]
    assert {line.count("|") for line in rows} == {head.count("|"), 11}
    assert any("H100" in line and "80 GB" in line for line in lines)
    on_tasks = [line for line in rows if line.startswith("| bare | fine-tuning on ")]
    assert len(on_tasks) == 3 + 1 and "acceptability, sentiment, entailment, each" in on_tasks[0]  # one of memory
