"""Sessions on a simulated machine that drifts and is disturbed, where the true ratio is known."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from model_zoo.config import EncoderConfig
from search.latency.case import LatencyCase
from search.latency.interleave import interleave
from search.latency.session import LatencySeries, LatencySession, NamedSeries
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
    now_ns: float = 0.0
    slow: float = field(default=0.0)

    def clock(self) -> int:
        return round(self.now_ns)

    def work(self, nominal_ns: float) -> Callable[[], None]:
        def function() -> None:
            self.slow += self.generator.normal(0.0, self.drift)
            burst = self.generator.exponential(1.0) if self.generator.random() < self.burst_share else 0.0
            self.now_ns += nominal_ns * math.exp(self.slow + self.generator.normal(0.0, self.noise)) * (1 + burst)

        return function


def simulate(machine: Machine, candidates_ns: list[float], *, rounds: int, seed: int = 0) -> LatencySession:
    functions = [machine.work(nominal) for nominal in (10e6, 10e6, *candidates_ns)]
    timed = interleave(functions, rounds=rounds, warmup=1, seed=seed, clock=machine.clock)
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
