"""Sessions on a simulated machine that drifts and is disturbed, where the true ratio is known."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from model_zoo.config import EncoderConfig
from search.latency.case import LatencyCase
from search.latency.interleave import interleave
from search.latency.protocol import Protocol
from search.latency.session import LatencySeries, LatencySession, NamedSeries
from search.latency.stopping import refusal, stopper
from search.latency.summary import measurements, summarise
from search.record import Interval

CONFIG = EncoderConfig(
    num_layers=1, hidden_size=8, bottleneck_size=4, num_heads=2, feed_forward_size=8, embedding_size=4, vocab_size=10
)
CASE = LatencyCase(batch=2, length=16)


@dataclass
class Machine:
    """A clock that only work moves. Work is slowed by drift common to all, by noise, and by rare bursts."""

    generator: np.random.Generator
    drift: float = 0.0
    noise: float = 0.0
    burst_share: float = 0.0
    heavy_tails: bool = False
    now_ns: float = 0.0
    slow: float = field(default=0.0)

    def clock(self) -> int:
        return round(self.now_ns)

    def work(self, nominal_ns: float) -> Callable[[], None]:
        def function() -> None:
            self.slow += self.generator.normal(0.0, self.drift)
            burst = self.generator.exponential(1.0) if self.generator.random() < self.burst_share else 0.0
            quick = self.generator.standard_t(2) if self.heavy_tails else self.generator.normal()
            self.now_ns += nominal_ns * math.exp(self.slow + self.noise * quick) * (1 + burst)

        return function


def simulate(
    machine: Machine, candidates_ns: list[float], *, rounds: int, seed: int = 0, protocol: Protocol | None = None
) -> LatencySession:
    functions = [machine.work(nominal) for nominal in (10e6, 10e6, *candidates_ns)]
    enough = None if protocol is None else stopper(protocol, clock=machine.clock)
    timed = interleave(functions, rounds=rounds, warmup=1, seed=seed, clock=machine.clock, enough=enough)
    series = [
        LatencySeries(config=CONFIG, repeats=repeats, forward_ns=samples)
        for repeats, samples in zip(timed.repeats, timed.call_ns, strict=True)
    ]
    named = tuple(NamedSeries(name=f"candidate {i}", series=one) for i, one in enumerate(series[2:]))
    return LatencySession(
        case=CASE,
        reference=series[0],
        control=series[1],
        candidates=named,
        orders=timed.orders,
        seed=seed,
        warmup=1,
        conditions={},
    )


def covers(interval: Interval | None, truth: float) -> bool:
    assert interval is not None
    return interval.low <= truth <= interval.high


def test_a_machine_without_noise_gives_the_true_ratio_exactly() -> None:
    summary = summarise(simulate(Machine(np.random.default_rng(0)), [4e6, 25e6], rounds=5))
    assert summary.reference_ms.value == pytest.approx(10.0)
    assert summary.control.ratio.value == pytest.approx(1.0)
    assert [found.ratio.value for found in summary.candidates.values()] == pytest.approx([0.4, 2.5])
    assert [found.latency_ms.value for found in summary.candidates.values()] == pytest.approx([4.0, 25.0])
    for found in summary.candidates.values():
        assert found.ratio.interval is not None
        assert found.ratio.interval.low == pytest.approx(found.ratio.interval.high)


def test_drift_that_doubles_every_time_leaves_the_ratio_where_it_is() -> None:
    class Slowing(Machine):
        def work(self, nominal_ns: float) -> Callable[[], None]:
            def function() -> None:
                self.slow += math.log(2.0) / 200
                self.now_ns += nominal_ns * math.exp(self.slow)

            return function

    session = simulate(Slowing(np.random.default_rng(0)), [4e6], rounds=40)
    assert max(session.reference.forward_ns) > 2 * min(session.reference.forward_ns)
    found = summarise(session).candidates["candidate 0"].ratio
    assert found.value == pytest.approx(0.4, rel=0.02) and covers(found.interval, 0.4)


def test_bursts_in_a_tenth_of_the_samples_hardly_move_the_ratio() -> None:
    machine = Machine(np.random.default_rng(1), noise=0.005, burst_share=0.05)  # two calls make a sample
    found = summarise(simulate(machine, [4e6], rounds=40)).candidates["candidate 0"].ratio
    assert found.value == pytest.approx(0.4, rel=0.01)


@pytest.mark.parametrize("rounds", [8, 20])
def test_the_interval_of_a_ratio_covers_the_truth_about_as_often_as_it_says(rounds: int) -> None:
    generator = np.random.default_rng(rounds)
    covered = []
    for seed in range(300):
        machine = Machine(generator, drift=0.005, noise=0.02, burst_share=0.05)
        summary = summarise(simulate(machine, [4e6], rounds=rounds, seed=seed), resamples=300)
        covered += [covers(summary.control.ratio.interval, 1.0)]
        covered += [covers(summary.candidates["candidate 0"].ratio.interval, 0.4)]
    assert 0.92 <= np.mean(covered) <= 1.0


MACHINES: dict[str, dict[str, Any]] = {
    "drift": {"drift": 0.005, "noise": 0.02},
    "bursts": {"drift": 0.002, "noise": 0.01, "burst_share": 0.05},
    "heavy tails": {"drift": 0.002, "noise": 0.01, "burst_share": 0.01, "heavy_tails": True},
}


@pytest.mark.parametrize("kind", MACHINES)
def test_stopping_when_intervals_are_narrow_leaves_the_coverage_where_it_should_be(kind: str) -> None:
    protocol = Protocol(warmup=1, seconds=None, most_rounds=345, interval_width=0.02)
    generator = np.random.default_rng(11)
    covered, rounds = [], set()
    for seed in range(500):
        machine = Machine(generator, **MACHINES[kind])
        session = simulate(machine, [4e6], rounds=protocol.most_rounds, seed=seed, protocol=protocol)
        summary = summarise(session, resamples=400)
        rounds.add(session.rounds)
        covered.append(covers(summary.candidates["candidate 0"].ratio.interval, 0.4))
    assert len(rounds) > 2 and rounds <= set(protocol.looks)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_a_session_ends_when_its_time_is_up_at_the_end_of_a_round() -> None:
    protocol = Protocol(seconds=1.0, interval_width=None)
    session = simulate(Machine(np.random.default_rng(0), noise=0.2), [4e6], rounds=1000, protocol=protocol)
    assert session.rounds == 18  # warm-up included, 0.056 s a round: two calls of 10, 10 and 4 ms (4 ms twice timed)


def test_a_control_that_is_too_wide_refuses_the_session() -> None:
    summary = summarise(simulate(Machine(np.random.default_rng(0), noise=0.2), [4e6], rounds=20))
    assert refusal(Protocol(control_width=10.0), summary) is None
    assert refusal(Protocol(control_width=None), summary) is None
    reason = refusal(Protocol(control_width=0.05), summary)
    assert reason is not None and "must be at most 5 % wide, it is" in reason and "after 20 rounds" in reason
    single = summarise(simulate(Machine(np.random.default_rng(0)), [4e6], rounds=1))
    assert "has no interval after 1 round;" in str(refusal(Protocol(), single))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"least_rounds": 0}, "least rounds of a latency session must be a whole number of at least 1, got 0"),
        ({"most_rounds": 5}, "least rounds of a latency session must be at most the most, got 20 and 5"),
        ({"seconds": 0.0}, "seconds of a latency session must be above 0 and finite, got 0.0"),
    ],
)
def test_a_protocol_that_makes_no_session_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Protocol(**fields)


def test_a_summary_repeats_with_its_seed_and_does_not_depend_on_other_candidates() -> None:
    session = simulate(Machine(np.random.default_rng(0), noise=0.05), [4e6, 25e6], rounds=10)
    assert summarise(session, seed=3) == summarise(session, seed=3)
    alone = LatencySession(
        **{name: getattr(session, name) for name in ("case", "reference", "control", "orders", "seed", "warmup")},
        candidates=session.candidates[1:],
        conditions={},
    )
    assert summarise(alone).candidates["candidate 1"] == summarise(session).candidates["candidate 1"]


def test_a_single_round_has_a_median_and_no_interval() -> None:
    found = summarise(simulate(Machine(np.random.default_rng(0)), [4e6], rounds=1)).candidates["candidate 0"]
    assert found.ratio.value == pytest.approx(0.4)
    assert found.ratio.interval is None and found.ratio.n == 1


def test_measurements_carry_unit_interval_conditions_and_the_control() -> None:
    session = simulate(Machine(np.random.default_rng(0), noise=0.01), [4e6], rounds=10)
    summary = summarise(session)
    milliseconds, ratio = measurements(summary, "candidate 0", session.case, "mobilebert scaled")
    assert (milliseconds.metric, milliseconds.unit, milliseconds.n) == ("latency_ms", "ms", 10)
    expected = {"runtime": "eager", "device": "cpu", "threads": 1, "batch": 2, "length": 16}
    assert milliseconds.conditions == expected
    assert (ratio.metric, ratio.unit) == ("latency_ratio", "x reference")
    assert ratio.conditions["reference"] == "mobilebert scaled"
    assert covers(ratio.interval, ratio.value)
    assert ratio.conditions["control_low"] <= ratio.conditions["control_ratio"] <= ratio.conditions["control_high"]
