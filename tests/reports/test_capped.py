"""The cap on a page: the best under it and how surely, the nearest miss, and accuracies of the form that is timed."""

import json
from typing import Any

import pytest
from markupsafe import escape

from reports.capped import about_cap, about_surety, probability_of_meeting
from reports.deployed import about_form
from reports.findings import headline
from reports.form import as_deployed, cap_of, scored_form
from reports.naming import BASELINE_NAME
from reports.page import write_report
from reports.points import points, points_of
from reports.predicted import about_second_session
from reports.reading import read_run, read_trials
from reports.records import Run, value_of
from reports.summary import cap_lines, summary_rows

CASE = {"runtime": "onnx-int8", "threads": 2, "device": "cpu", "batch": 32, "length": 64}
BASELINE = escape(BASELINE_NAME)
INT8 = ["onnx-int8/validation/accuracy", "latency_ratio"]


def make(synthetic: Any, knobs: tuple[int, int, int], accuracy: float, ms: float, number: int, **more: Any) -> Any:
    """A trial with one accuracy and 5 % of interval on either side of its latency; `measured` is that of the end."""
    record = synthetic.make_trial(number, synthetic.make_spec(*knobs))
    record["measurements"] = [
        synthetic.make_measurement("accuracy", accuracy, "%", split="test"),
        synthetic.make_measurement("latency_ratio", ms / 10, "x reference", 0.005 * ms, reference="baseline"),
        synthetic.make_measurement("latency_ms", ms, "ms", 0.05 * ms, **CASE),
    ]
    if "measured" in more:
        end = more["measured"]
        record["measurements"] += [
            synthetic.make_measurement("measured_latency_ratio", end / 10, "x reference", 0.005 * end),
            synthetic.make_measurement("measured_latency_ms", end, "ms", 0.05 * end),
        ]
    return record


def make_run(synthetic: Any, cap: float | None, *more: Any, **study: Any) -> Run:
    records = [
        make(synthetic, (16, 4, 4), 70.0, 20.0, 0),
        make(synthetic, (8, 4, 4), 60.0, 8.0, 1),
        make(synthetic, (24, 4, 4), 72.0, 30.0, 2),
        *more,
    ]
    declared = synthetic.make_study() | {"max_latency_ms": cap, "latency": CASE} | study
    return Run(name="run", study=declared, records=tuple(records), problems=())


def said(run: Run) -> str:
    return " ".join(map(str, about_cap(run, points_of(run))))


@pytest.mark.parametrize(
    ("cap", "expected"),
    [(11.0, 0.975), (9.0, 0.025), (10.0, 0.5), (10.5, 0.842), (20.0, 1.0), (5.0, 0.0)],
)
def test_the_bounds_of_an_interval_are_met_with_the_probability_that_they_stand_for(
    cap: float, expected: float
) -> None:
    assert probability_of_meeting(10.0, (9.0, 11.0), cap) == pytest.approx(expected, abs=0.001)


def test_a_single_round_or_no_spread_gives_no_probability_in_between() -> None:
    assert probability_of_meeting(10.0, None, 11.0) is None
    assert [probability_of_meeting(10.0, (10.0, 10.0), cap) for cap in (9.9, 10.0, 10.1)] == [0.0, 1.0, 1.0]


def test_the_page_names_the_best_under_the_cap_with_the_probability_that_it_meets_it(synthetic: Any) -> None:
    assert said(make_run(synthetic, 20.5)) == (
        "<strong>Under the cap</strong> of 20.5 ms (onnx-int8, 2 threads), the most accurate configuration is "
        f"<strong>{BASELINE}</strong>: 70.0 % at 20.0 ms; its 95 % interval is 19.0 to 21.0 ms, and it meets the cap "
        "with a probability of 84 %."
    )
    assert "72.0 % at 30.0 ms" in said(make_run(synthetic, 100.0)) and "over 99 %" in said(make_run(synthetic, 100.0))
    assert said(make_run(synthetic, None)) == ""


def test_the_nearest_miss_is_named_with_what_it_is_over_the_cap(synthetic: Any) -> None:
    run = make_run(synthetic, 7.5)
    assert said(run) == (
        "<strong>No configuration meets the cap</strong> of 7.5 ms (onnx-int8, 2 threads). The nearest, "
        "<strong>bottleneck 8</strong> (60.0 %), takes 8.00 ms, 0.500 ms (6.7 %) too many; its 95 % interval is 7.60 "
        "to 8.40 ms, and it meets the cap with a probability of under 1 %."
    )
    assert [point.on_front for point in points_of(run)] == [True, True, True]  # the front of all: none is under it


def test_the_front_is_of_what_is_under_the_cap(synthetic: Any) -> None:
    run = make_run(synthetic, 25.0)
    assert {point.name for point in points_of(run) if point.on_front} == {"bottleneck 8", BASELINE_NAME}
    alone = make_run(synthetic, 10.0)
    said_first = " ".join(headline(alone, points_of(alone)))
    assert "<strong>Under the cap</strong> of 10 ms" in said_first
    assert "The only configuration on the front, <strong>bottleneck 8</strong>, reaches 60.0 % at 0.80 x" in said_first
    assert points_of(make_run(synthetic, None)) == points(list(run.records), run.study["baseline"])


def test_what_the_session_at_the_end_measured_decides_and_what_changed_sides_is_said(synthetic: Any) -> None:
    run = make_run(synthetic, 21.0, make(synthetic, (20, 4, 4), 75.0, 20.5, 3, measured=25.0))
    assert f"<strong>{BASELINE}</strong>: 70.0 % at 20.0 ms" in said(run)
    sure, crossed = map(str, about_surety(run, points_of(run)))
    assert sure.startswith("2 of 4 configurations are under the cap. How surely one is, is read off the 95 % interval")
    assert "of the session at the end of the search" in sure and "of its session during the search" in sure
    assert crossed.endswith("measured at the end: bottleneck 20 (20.5 ms, then 25.0 ms).")
    (twice,) = map(str, about_second_session(run))
    assert (
        "the ratios differ by 18.0 % on average, the 95 % intervals overlap for 0 of 1; apart are bottleneck" in twice
    )
    assert "first 2.05 x, measured 2.50 x." in twice


def test_a_predicted_latency_says_that_its_distribution_is_the_profiles(synthetic: Any) -> None:
    run = make_run(synthetic, 25.0)
    for record in run.records:
        record["measurements"][2]["conditions"]["source"] = "predicted"
    assert "the 95 % interval that the device profile predicts" in str(about_surety(run, points_of(run))[0])


def with_int8(synthetic: Any, lost: float) -> list[Any]:
    records = synthetic.make_search(6)
    for record in records:
        scores = [item for item in record["measurements"] if "split" in item["conditions"]]
        record["measurements"] += [
            {
                **item,
                "metric": f"onnx-int8/{item['metric']}",
                "value": item["value"] - lost,
                "conditions": item["conditions"] | {"runtime": "onnx-int8"},
            }
            for item in scores
        ]
    return list(records)


def test_a_search_in_int8_is_shown_by_the_scores_of_int8(synthetic: Any, tmp_path: Any) -> None:
    records = with_int8(synthetic, 1.5)
    study = synthetic.make_study() | {"objectives": INT8, "latency": CASE, "max_latency_ms": 3.0}
    folder = synthetic.write_run(tmp_path / "run", study, records)
    run = read_run(folder)
    trained, shown = value_of(read_trials(folder)[0], "accuracy"), value_of(run.records[0], "accuracy")
    assert trained is not None and shown == pytest.approx(trained - 1.5)
    assert value_of(run.records[0], "trained/accuracy") == trained
    page = write_report(folder).read_text()
    assert "<strong>Accuracy is that of onnx-int8</strong>" in page
    assert "as trained, in float32, that is -1.5 points on average over 6 trials (-1.5 to -1.5)." in page
    assert "Of the configurations under 3 ms those that no other one beats" in page
    assert "<strong>Under the cap</strong> of 3 ms (onnx-int8, 2 threads)" in page
    assert "cap on latency" in page
    rows = json.loads((folder / "tables" / "trials.json").read_text())
    assert [row["accuracy"] for row in rows] == pytest.approx([value_of(one, "accuracy") for one in run.records])
    assert not [name for name in rows[0] if name.startswith(("onnx", "trained"))]
    (line,) = cap_lines(folder)
    assert line.startswith("Under the cap of 3 ms (onnx-int8, 2 threads), the most accurate configuration is ")
    assert len(summary_rows(folder)) > 1


def test_a_trial_that_could_not_be_exported_has_no_accuracy_and_is_counted(synthetic: Any) -> None:
    record = synthetic.make_trial(0, synthetic.make_spec())
    record["provenance"]["unscored"] = {"onnx-int8": "torch could not export the network to ONNX: no"}
    shown = as_deployed(record, "onnx-int8")
    run = Run(name="run", study=synthetic.make_study() | {"objectives": INT8}, records=(shown,), problems=())
    assert points_of(run) == []
    assert "1 trial could not be scored so and has no accuracy here." in str(about_form(run)[0])


@pytest.mark.parametrize(
    ("study", "cap", "form"),
    [
        ({}, None, ""),
        ({"max_latency_ms": 20, "objectives": INT8}, 20.0, "onnx-int8"),
        ({"max_latency_ms": "20", "objectives": ["validation/accuracy", "latency_ratio"]}, None, ""),
        ({"max_latency_ms": -1.0, "objectives": "accuracy"}, None, ""),
    ],
)
def test_a_study_file_without_a_cap_or_form_has_none(study: Any, cap: float | None, form: str) -> None:
    assert (cap_of(study), scored_form(study)) == (cap, form)
