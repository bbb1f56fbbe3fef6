"""Latency ratios: from sessions, from the rounds of one, from records; refused where conditions differ."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.comparison.answer import answer
from reports.comparison.latency import LatencyRatio

RATIOS = {"bare": [1.0, 1.02, 0.98, 1.01, 1.0, 0.99], "thin": [0.61, 0.62, 0.6, 0.63, 0.61, 0.6]}


@pytest.fixture
def make_run(synthetic: Any, claimed: Any, tmp_path: Path) -> Any:
    """A run of two arms with other encoders, and as many measuring sessions as asked for."""

    def make(num_sessions: int = 6, name: str = "sizes-cpu") -> Path:
        arms: dict[str, Any] = {"bare": [70.0 + seed for seed in range(6)], "thin": [69.0 + seed for seed in range(6)]}
        records = claimed.make_records(synthetic, arms)
        for record in records:
            if record["trials"][0]["arm"] == "thin":
                record["spec"]["student"] |= {"bottleneck_size": 8, "feed_forward_size": 32}
        run = synthetic.write_run(tmp_path / name, claimed.make_study(synthetic, [], arms, 6), records)
        if num_sessions:
            claimed.write_sessions(run, {arm: ratios[:num_sessions] for arm, ratios in RATIOS.items()})
        return Path(run)

    return make


def ratio_of(*names: object) -> LatencyRatio:
    return answer([str(name) for name in names]).pairs[0].latency


def sessions(run: Path) -> list[tuple[list[float], list[float]]]:
    """Samples of thin and of bare, session by session."""
    found = []
    for path in sorted((run / "latency").glob("*.json")):
        series = {
            one["name"]: one["series"]["forward_ns"] for one in json.loads(path.read_text())["session"]["candidates"]
        }
        found.append((series["encoder-thin"], series["encoder-bare"]))
    return found


def test_six_sessions_give_the_mean_of_logarithms_and_its_sign_flip_interval(make_run: Any) -> None:
    run = make_run()
    logs = np.array([math.log(np.median(thin) / np.median(bare)) for thin, bare in sessions(run)])
    found = ratio_of(f"{run}:bare", f"{run}:thin")
    assert found.interval is not None
    assert found.ratio == pytest.approx(math.exp(logs.mean())) and found.basis == "6 sessions"
    # Of six differences only the extreme subset means, those of the smallest and the largest alone, are at the level.
    assert found.interval == pytest.approx((math.exp(logs.min()), math.exp(logs.max())))
    assert "faster (95 % interval 0.6" in answer([f"{run}:bare", f"{run}:thin"]).sentences[0]


def test_a_refused_session_is_counted(make_run: Any) -> None:
    run = make_run(6)
    (run / "latency" / "session-06.json").write_text(json.dumps({"session": None, "refused": ["the control is wide"]}))
    assert ratio_of(f"{run}:bare", f"{run}:thin").basis == "6 sessions, 1 more refused"


def test_fewer_sessions_give_the_median_over_the_rounds_of_the_first(make_run: Any) -> None:
    run = make_run(3)
    thin, bare = sessions(run)[0]
    found = ratio_of(f"{run}:bare", f"{run}:thin")
    assert found.ratio == pytest.approx(np.median(np.array(thin) / np.array(bare)))
    assert found.interval is not None and found.interval[0] < found.ratio < found.interval[1]  # type: ignore[operator]
    assert found.basis == "one session of 5 rounds"


def test_without_sessions_two_records_give_a_ratio_whose_errors_add_up(make_run: Any) -> None:
    run = make_run(0)
    marks = [
        json.loads((run / "trials" / f"{name}.json").read_text())
        for name in ("000000" + "0123456789", "006400" + "0123456789")
    ]
    bare, thin = (next(one for one in mark["measurements"] if one["metric"] == "latency_ratio") for mark in marks)
    found = ratio_of(f"{run}:bare", f"{run}:thin")
    assert found.ratio == pytest.approx(thin["value"] / bare["value"]) and found.basis == "ratios to one reference"
    down = math.hypot(
        math.log(thin["value"] / thin["interval"]["low"]), math.log(bare["interval"]["high"] / bare["value"])
    )
    assert found.interval is not None and found.interval[0] == pytest.approx(found.ratio * math.exp(-down))


def edit(run: Path, change: Any) -> None:
    for path in (run / "trials").glob("*.json"):
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))


def set_conditions(**conditions: Any) -> Any:
    def change(record: Any) -> None:
        for one in record["measurements"]:
            if one["metric"].startswith("latency"):
                one["conditions"].update(conditions)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (set_conditions(batch=1), "(batch 1 and 32)"),
        (set_conditions(runtime="onnx", threads=2), "(runtime onnx and eager, threads 2 and 1)"),
        (lambda record: record["provenance"].update(machine="Laptop"), "(machine Laptop and AMD EPYC)"),
        (lambda record: record["provenance"].pop("machine"), "(machine not recorded)"),
        (lambda record: record["provenance"]["versions"].update(torch="2.12.0"), "(torch 2.12.0 and 2.13.0)"),
    ],
)
def test_other_conditions_refuse_the_ratio_and_say_which(make_run: Any, change: Any, says: str) -> None:
    one, two = make_run(0, "one-cpu"), make_run(0, "two-cpu")
    edit(two, change)
    found = ratio_of(f"{one}:bare", f"{two}:thin")
    assert found.ratio is None and found.interval is None
    assert found.reason == f"their latencies were not measured under the same conditions {says}"
    assert f"; no latency ratio is given: {found.reason}." in answer([f"{one}:bare", f"{two}:thin"]).sentences[0]


def test_another_reference_refuses_the_ratio(make_run: Any) -> None:
    one, two = make_run(0, "one-cpu"), make_run(0, "two-cpu")
    assert ratio_of(f"{one}:bare", f"{two}:thin").ratio is not None
    study = json.loads((two / "study.json").read_text())
    study["baseline"]["student"]["num_layers"] = 12
    (two / "study.json").write_text(json.dumps(study))
    assert ratio_of(f"{one}:bare", f"{two}:thin").reason.endswith("(another reference: num_layers 12 and 6)")


def test_predicted_and_missing_latencies_are_none(make_run: Any) -> None:
    one, two = make_run(0, "one-cpu"), make_run(0, "two-cpu")
    edit(two, set_conditions(source="predicted"))
    assert ratio_of(f"{one}:bare", f"{two}:thin").reason == "no measured latency of two-cpu:thin"
    assert ratio_of("mobilebert", f"{two}:thin").reason == "mobilebert was not measured"


def test_one_encoder_takes_the_same_time_by_definition(make_run: Any) -> None:
    run = make_run(6)
    found = ratio_of(f"{run}:0000", f"{run}:0001")
    assert (found.ratio, found.interval, found.same_encoder) == (1.0, None, True)


def test_damaged_sessions_are_left_out(make_run: Any) -> None:
    run = make_run(6)
    for content in ("{", "[]", '{"session": {"reference": {"forward_ns": [0.0]}, "candidates": []}}'):
        (run / "latency" / "session-05.json").write_text(content)
        assert ratio_of(f"{run}:bare", f"{run}:thin").basis == "one session of 5 rounds"


def test_every_damaged_session_is_named_once(make_run: Any) -> None:
    run = make_run(6)
    for name in ("session-05.json", "generation-0001.json", "front.json"):
        (run / "latency" / name).write_text("{")
    problems = answer([f"{run}:bare", f"{run}:thin"]).problems
    for name in ("session-05.json", "generation-0001.json", "front.json"):
        assert sum(f"latency/{name}" in problem for problem in problems) == 1, problems
