"""The idle benchmark: a tiny run, and its reasons on samples whose noise is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import latency_repeat
from benchmarks.session_noise import neighbours, noise, noise_text, outlying
from model_zoo.config import EncoderConfig
from search.latency.case import LatencyCase
from search.latency.session import LatencySeries, LatencySession, NamedSeries

CONFIG = EncoderConfig(
    num_layers=1, hidden_size=8, bottleneck_size=4, num_heads=2, feed_forward_size=8, embedding_size=4, vocab_size=10
)
ROUNDS = 400


def session(reference: float, candidate: float, drift: float = 0.0) -> LatencySession:
    """Reference and control with one deviation, a candidate with another, and a walk that all share."""
    draw = np.random.default_rng(0)
    walk = np.cumsum(draw.normal(0, drift, ROUNDS)) if drift else np.zeros(ROUNDS)

    def series(deviation: float) -> LatencySeries:
        samples = 1e7 * np.exp(walk + draw.normal(0, deviation, ROUNDS))
        return LatencySeries(config=CONFIG, repeats=1, forward_ns=tuple(map(float, samples)))

    return LatencySession(
        case=LatencyCase(batch=1, length=8),
        reference=series(reference),
        control=series(reference),
        candidates=(NamedSeries(name="one", series=series(candidate)),),
        orders=((0, 1, 2),) * ROUNDS,
        seed=0,
        warmup=1,
        conditions={},
    )


def test_reasons_are_those_that_the_samples_were_made_with() -> None:
    found = noise(session(0.04, 0.03, drift=0.02), goal=0.01)
    assert found["deviation_of_the_reference"] == pytest.approx(0.04, rel=0.15)
    assert found["deviation_of_a_ratio"] == pytest.approx(0.05, rel=0.15)
    assert found["deviation_of_plain_times"] > 0.08
    assert found["timed_share"] == pytest.approx(0.5)
    assert found["outlying_rounds"] < 0.005 and abs(found["correlation_of_neighbours"]) < 0.15
    assert found["widths_by_both_references"][0] < found["widest"] < found["widths_of_plain_medians"][0]
    assert not found["met"] and found["rounds_for_goal"] > ROUNDS
    assert "(goal 1.00 %): MISSED by a factor of" in noise_text(found)
    assert "(goal 1.00 %): met" in noise_text(noise(session(0.001, 0.001), goal=0.01))


def test_drift_shows_in_neighbours_and_a_burst_among_the_outliers() -> None:
    walk = np.cumsum(np.random.default_rng(0).normal(size=200))
    assert neighbours(walk) > 0.9
    assert np.isnan(neighbours(walk[:3])) and np.isnan(neighbours(np.ones(9)))
    quiet = np.random.default_rng(0).normal(size=(1, 100))
    quiet[0, 7] = 50.0
    assert outlying(quiet).sum() == 1


@pytest.mark.parametrize("pin", [False, True])
def test_a_tiny_idle_run_ends_in_its_verdict(pin: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["idle", "--out", str(tmp_path), "--smallest", *(["--pin"] if pin else [])]
    assert latency_repeat.main(words) == 0
    printed = capsys.readouterr().out
    assert "widest 95 % interval of a ratio: " in printed and "\n  4 rounds, " in printed
    (file,) = tmp_path.iterdir()
    conditions = json.loads(file.read_text())["conditions"]
    assert "pinned_core" not in conditions or pin
