"""Interleaving on a clock that only the timed functions move."""

from collections.abc import Callable

import pytest

from search.latency.interleave import SAMPLE_NS, interleave


class Clock:
    """Counts nanoseconds and who spent them."""

    def __init__(self) -> None:
        self.now = 0
        self.calls: list[str] = []

    def __call__(self) -> int:
        return self.now

    def function(self, name: str, cost: int) -> Callable[[], None]:
        def call() -> None:
            self.now += cost
            self.calls.append(name)

        return call


def test_a_sample_is_as_many_calls_as_last_five_milliseconds() -> None:
    clock = Clock()
    functions = [clock.function("fast", 300_000), clock.function("slow", 7_000_000)]
    timed = interleave(functions, rounds=3, warmup=1, seed=0, clock=clock)
    assert timed.repeats == (17, 1) and SAMPLE_NS < 17 * 300_000
    assert timed.call_ns == ((300_000.0,) * 3, (7_000_000.0,) * 3)
    # warm-up: one untimed and one timed call; each round: one untimed call and the repeats
    assert clock.calls.count("fast") == 2 + 3 * 18
    assert clock.calls.count("slow") == 2 + 3 * 2


def test_every_round_runs_everything_once_in_an_order_of_its_own_that_the_seed_repeats() -> None:
    def orders(seed: int) -> tuple[tuple[int, ...], ...]:
        clock = Clock()
        functions = [clock.function(str(i), 10_000_000) for i in range(5)]
        return interleave(functions, rounds=12, warmup=2, seed=seed, clock=clock).orders

    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders(0))
    assert len(orders(0)) == 12 and len(set(orders(0))) > 6
    assert orders(0) == orders(0) != orders(1)


def test_progress_counts_warm_up_and_rounds() -> None:
    clock, seen = Clock(), []
    interleave(
        [clock.function("one", 10_000_000)],
        rounds=2,
        warmup=1,
        seed=0,
        clock=clock,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(("rounds", "warmup", "message"), [(0, 1, "rounds .* got 0"), (1, 0, "warmup .* got 0")])
def test_a_session_without_rounds_or_warm_up_is_refused(rounds: int, warmup: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interleave([lambda: None], rounds=rounds, warmup=warmup, seed=0)
