"""What to take under a cap: the most accurate item that meets it, with the probability that it does."""

import json
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from scipy import stats

from reports.comparison.answer import answer
from reports.comparison.choice import parse_cap, probability_under
from reports.comparison.latency import Timing


@pytest.mark.parametrize(
    ("text", "ms"),
    [("20ms", 20.0), ("0.5s", 500.0), ("20", 20.0), (" 1.5 s ", 1500.0), ("250us", 0.25), (".5", 0.5), ("2e1ms", 20.0)],
)
def test_a_cap_is_read_in_its_unit(text: str, ms: float) -> None:
    assert parse_cap(text) == pytest.approx(ms)


@pytest.mark.parametrize("text", ["", "ms", "0", "-3ms", "20 minutes", "nan", "inf", "1e999", "20ms; rm"])
def test_what_is_no_cap_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^--cap is a time above 0 such as 20ms, 0\.5s or 20 \(milliseconds\), got "
    ) as caught:
        parse_cap(text)
    assert "\n" not in str(caught.value)


def make_timing(ms: float, interval: Any = None, sessions: tuple[float, ...] = ()) -> Timing:
    return Timing(ms=ms, interval=interval, session_ms=sessions, conditions={}, reason="")


def test_the_probability_is_that_of_the_recorded_interval_or_of_a_further_session() -> None:
    within = probability_under(make_timing(10.0, (9.0, 11.0)), 10.5)
    error = np.log(11.0 / 9.0) / (2 * 1.959964)
    assert within == pytest.approx(NormalDist().cdf(np.log(1.05) / error), rel=1e-5)
    sessions = (10.0, 10.4, 9.8, 10.1)
    logs = np.log(sessions)
    statistic = (np.log(10.5) - logs.mean()) / (logs.std(ddof=1) * np.sqrt(1 + 1 / 4))
    further = probability_under(make_timing(10.1, None, sessions), 10.5)
    assert further == pytest.approx(stats.t.cdf(statistic, df=3))
    assert probability_under(make_timing(10.0), 10.5) is None


@pytest.fixture
def run(synthetic: Any, tmp_path: Path) -> Path:
    """Three arms of 8 seeds: 70 points in 2 ms, 74 in 6 ms, 74.2 in 12 ms; the last two differ by noise."""
    draw = np.random.default_rng(4)
    arms = {"small": (70.0, 2.0), "middle": (74.0, 6.0), "large": (74.2, 12.0)}
    records = []
    for seed in range(8):
        for place, (arm, (accuracy, ms)) in enumerate(arms.items()):
            value = accuracy + seed + 0.8 * draw.normal()
            records.append(synthetic.make_arm_trial(100 * place + seed, arm, seed, value, agreement=value))
            records[-1]["spec"]["student"]["bottleneck_size"] = 8 * 2**place
            for one in records[-1]["measurements"]:
                if one["metric"] == "latency_ms":
                    one |= {"value": ms, "interval": {"low": 0.97 * ms, "high": 1.03 * ms, "level": 0.95}}
    return Path(synthetic.write_run(tmp_path / "sizes-cpu", synthetic.make_ablation_study(tuple(arms)), records))


@pytest.mark.parametrize(("cap", "taken"), [(20.0, "large"), (11.0, "middle"), (5.0, "small"), (1.0, None)])
def test_the_most_accurate_item_under_the_cap_is_taken(run: Path, cap: float, taken: str | None) -> None:
    choice = answer([str(run)], cap_ms=cap).choice
    assert choice is not None
    assert (choice.chosen.name if choice.chosen else None) == taken
    if taken is None:
        assert choice.sentence.startswith("No item is known to meet a cap of 1 ms: the fastest, small, takes 2.00 ms")
    else:
        assert choice.sentence.startswith(f"Under a cap of {cap:g} ms take {taken}: with ")


def test_what_is_not_told_apart_is_named_with_the_fastest_of_it(run: Path) -> None:
    choice = answer([str(run)], cap_ms=20.0).choice
    assert choice is not None
    assert {one.name: one.is_told_apart for one in choice.candidates} == {
        "small": True,
        "middle": False,
        "large": False,
    }
    assert "the data do not tell it apart from middle; the fastest of these is middle, at 6.00 ms." in choice.sentence
    assert "more than 99.9 % (other sessions were not measured)" in choice.sentence
    small = answer([str(run)], cap_ms=7.0).choice
    assert small is not None and small.sentence.endswith(
        "The paired seeds tell it apart from every other one that could be taken."
    )


def test_the_choice_never_contradicts_the_verdict_of_a_pair(run: Path) -> None:
    found = answer([str(run)])
    assert found.choice is not None and found.choice.chosen is not None
    told = {one.name for one in found.choice.candidates if one.is_told_apart}
    for pair in found.pairs:
        if pair.accuracy is not None and pair.accuracy.verdict == "better" and pair.subject.name == "large":
            assert pair.against.name in told


def test_items_without_accuracy_or_latency_or_of_other_conditions_are_left_out_with_the_reason(run: Path) -> None:
    for path in (run / "trials").glob("*.json"):
        record = json.loads(path.read_text())
        if record["trials"][0]["arm"] == "large":
            for one in record["measurements"]:
                one["conditions"] |= {"batch": 1} if one["metric"].startswith("latency") else {}
        if record["trials"][0]["arm"] == "middle":
            record["measurements"] = [one for one in record["measurements"] if one["metric"] != "accuracy"]
        path.write_text(json.dumps(record))
    choice = answer([f"{run}:small", f"{run}:middle", f"{run}:large", "mobilebert"], cap_ms=50.0).choice
    assert choice is not None and choice.chosen is not None and choice.chosen.name == "sizes-cpu:small"
    assert [one.left_out for one in choice.candidates] == [
        "",
        "no accuracy (complete)",
        "its latency is of other conditions (batch 32 and 1)",
        "it was not trained",
    ]
    assert "it is the only item known to meet it" in choice.sentence


def test_presets_alone_are_never_recommended() -> None:
    choice = answer(["mobilebert", "bert-base"], cap_ms=20.0).choice
    assert choice is not None and choice.chosen is None
    assert (
        choice.sentence
        == "No item has both an accuracy and a measured latency, so none is recommended under a cap of 20 ms."
    )
