"""The schedules against tables written by hand."""

import math

import pytest

from search.training.schedules import constant, pkt_multiplier, warmup_linear, warmup_polynomial


def test_the_constant_schedule_is_one() -> None:
    assert [constant(step) for step in (0, 7, 10**6)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("total", "warmup", "end", "table"),
    [
        (8, 3, 0.0, [1 / 4, 2 / 4, 3 / 4, 1, 4 / 5, 3 / 5, 2 / 5, 1 / 5]),
        (5, 0, 0.5, [1, 0.9, 0.8, 0.7, 0.6]),
        (4, 1, 1.0, [1 / 2, 1, 1, 1]),
        (3, 3, 0.0, [1 / 4, 2 / 4, 3 / 4]),
        (1, 0, 0.0, [1]),
    ],
)
def test_warm_up_and_decay_follow_the_table(total: int, warmup: int, end: float, table: list[float]) -> None:
    assert [warmup_linear(step, total, warmup, end) for step in range(total)] == pytest.approx(table)


def test_the_transfer_multipliers_follow_the_table() -> None:
    # Phases of 4 steps; background 0.9 + 0.1 sqrt(1 - x) at x = 1/4, 1/2, 3/4, 1 (the ramp is over after step 1).
    b = [0.9 + 0.1 * math.sqrt(0.75), 0.9 + 0.1 * math.sqrt(0.5), 0.95, 0.9]
    during, after, before = [3 * x for x in b], [0.3 * x for x in b], [0.0] * 4
    table = {0: during + after + after, 1: before + during + after, 2: before + before + during}
    for block, row in table.items():
        assert [pkt_multiplier(step, block, 4) for step in range(12)] == pytest.approx(row)


def test_a_long_phase_starts_with_a_ramp_over_its_first_tenth() -> None:
    # Phases of 100 steps: the ramp 10 x passes under the decay until x = 0.1.
    assert [pkt_multiplier(step, 0, 100) for step in (0, 4, 8)] == pytest.approx([0.3, 1.5, 2.7])
    assert pkt_multiplier(9, 0, 100) == pytest.approx(3 * (0.9 + 0.1 * math.sqrt(0.9)))
    assert pkt_multiplier(100, 0, 100) == pytest.approx(0.03)  # the next phase ramps the finished block again
    assert pkt_multiplier(99, 0, 100) == pytest.approx(2.7)


def test_a_phase_of_one_step_trains() -> None:
    assert [pkt_multiplier(step, 1, 1) for step in range(3)] == pytest.approx([0.0, 2.7, 0.27])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: warmup_linear(5, 5, 1, 0.0), "step must be from 0 to 4, got 5"),
        (lambda: warmup_linear(-1, 5, 1, 0.0), "step must be from 0 to 4, got -1"),
        (lambda: warmup_linear(0, 5, 6, 0.0), "warmup must be from 0 to the 5 steps of the stage, got 6"),
        (lambda: pkt_multiplier(-1, 0, 4), "step must be at least 0, got -1"),
        (lambda: pkt_multiplier(0, -1, 4), "block must be at least 0, got -1"),
        (lambda: pkt_multiplier(0, 0, 0), "phase_steps must be at least 1, got 0"),
    ],
)
def test_a_step_that_cannot_be_is_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()


def test_a_polynomial_decay_of_power_one_is_the_linear_one_and_others_are_powers_of_it() -> None:
    for step in range(20):
        linear = warmup_linear(step, 20, 5, 0.1)
        assert warmup_polynomial(step, 20, 5, 0.1, 1.0) == pytest.approx(linear, rel=1e-12)
        if step >= 5:
            expected = 0.1 + 0.9 * (1 - (step - 5) / 15) ** 0.5
            assert warmup_polynomial(step, 20, 5, 0.1, 0.5) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match=r"^power of the decay must be above 0, got 0\.0$"):
        warmup_polynomial(0, 20, 5, 0.1, 0.0)
