"""Time several functions in shuffled, interleaved rounds; knows nothing of models, only of a clock.

Slow drift of the machine (frequency, temperature, neighbours) then falls on all of them alike and cancels in the ratio
of two times of the same round.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# One sample lasts at least this long, so that the clock's resolution and one interrupt are small against it.
SAMPLE_NS = 5_000_000


class Timed(NamedTuple):
    """The samples of one session; positions refer to the functions in the order they were given."""

    repeats: tuple[int, ...]
    """Calls per sample of each function."""
    call_ns: tuple[tuple[float, ...], ...]
    """Nanoseconds per call, [function][round]."""
    orders: tuple[tuple[int, ...], ...]
    """Which function ran when, [round][position]."""


def interleave(
    functions: Sequence[Callable[[], object]],
    *,
    rounds: int,
    warmup: int,
    seed: int,
    clock: Callable[[], int] = time.perf_counter_ns,
    enough: Callable[[Sequence[Sequence[float]]], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Timed:
    """Time every function once per round, in an order drawn anew for each round.

    A sample is as many calls in a row as last 5 ms, after one call that is not timed: it brings back the caches that
    the function before it took.

    Args:
        functions: called without arguments; they return when their work is done (a GPU's too).
        rounds: samples of each function at most, at least 1.
        warmup: rounds before them that are thrown away (and find how many calls make a sample), at least 1.
        seed: of the orders.
        clock: monotonic time in nanoseconds.
        enough: asked after every round with the samples so far, [function][round]; True ends the session.
        progress: called with (rounds done, rounds in all), warm-up included.

    Raises:
        ValueError: fewer than one round or warm-up round.
    """
    for name, value in (("rounds", rounds), ("warmup", warmup)):
        if value < 1:
            raise ValueError(f"{name} of a latency session must be at least 1, got {value}")
    generator = np.random.default_rng(seed)
    repeats = [1] * len(functions)
    samples: list[list[float]] = [[] for _ in functions]
    orders: list[tuple[int, ...]] = []
    for done in range(warmup + rounds):
        order = tuple(int(position) for position in generator.permutation(len(functions)))
        for position in order:
            call_ns = _sample(functions[position], repeats[position], clock)
            if done < warmup:
                repeats[position] = max(1, -(-SAMPLE_NS // max(1, round(call_ns))))
            else:
                samples[position].append(call_ns)
        if done >= warmup:
            orders.append(order)
        if progress is not None:
            progress(done + 1, warmup + rounds)
        if done >= warmup and enough is not None and enough(samples):
            break
    return Timed(tuple(repeats), tuple(tuple(values) for values in samples), tuple(orders))


def _sample(function: Callable[[], object], repeats: int, clock: Callable[[], int]) -> float:
    """Nanoseconds per call over `repeats` calls."""
    function()
    start = clock()
    for _ in range(repeats):
        function()
    return (clock() - start) / repeats
