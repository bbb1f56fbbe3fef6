"""The GPU budget against numbers computed by hand, and built models against the plan."""

from typing import Any

import pytest

from search.budget import Assumptions, gpu_hours, head_parameters, kept_numbers, num_masked, stages_of
from search.dry_run import build_all, real_steps


def test_the_tiny_trial_costs_what_was_computed_by_hand(make_spec: Any) -> None:
    spec = make_spec()  # 2 blocks, h 16, b 8, 2 feed-forwards of 32, 2 heads, embedding 8, 50 pieces, 16 tokens
    first = stages_of(spec, Assumptions())[0]
    embedding = 2 * 16 * 24 * 16
    block = 2 * 16 * (2 * 16 * 8 + 3 * 16 * 8 + 8 * 8 + 2 * 16 * 8 + 2 * 2 * 8 * 32)
    heads = 2 * 2 * (16 * 16 + 16 * 50) + 2 * 2 * 16
    assert num_masked(16) == 2
    assert first.student_flops == 3 * 7 * 4 * (embedding + 2 * block + heads)
    assert (first.tokens_per_step, first.tokens, first.teacher_flops) == (64, 448, 0)
    assert head_parameters(spec.student, pooler=False) == 50 * 8 + 50 + 16 * 17 + 32 + 34
    assert kept_numbers(spec.student, 16) == 16 * (32 + 2 * (16 + 32 + 48 + 32 + 2 * (64 + 16)))


def test_hours_are_flops_over_the_assumed_rate() -> None:
    assumed = Assumptions(share_of_peak=0.5)
    assert gpu_hours(round(989.5e12 * 1800), assumed) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="share_of_peak must be above 0 and at most 1, got 0"):
        Assumptions(share_of_peak=0)


def test_every_model_is_built_as_planned_and_steps(make_spec: Any) -> None:
    spec = make_spec(with_teacher=True)
    assert len(build_all([spec])) == 2
    steps = list(real_steps(spec, batch_size=1, length=16))
    assert [step.stage for step in steps] == [
        "teacher's pre-training",
        "knowledge transfer, last phase",
        "student's pre-training",
    ]
    assert all(step.moved > 0 and abs(step.loss) < float("inf") for step in steps)
