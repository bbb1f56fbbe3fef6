"""The tidy tables, and what figures make of them."""

import numpy as np
import pandas as pd
import pytest

from reports.reading import read_run
from reports.source import CURVE_COLUMNS, TRIAL_COLUMNS, chosen, run_of
from reports.table import claims, curves, knobs, trials
from search.claim import beats


@pytest.fixture
def ablation(synthetic, tmp_path):
    records = synthetic.make_ablation({"bare": 0.0, "transfer": 3.0}, num_seeds=6)
    records[3] = synthetic.make_arm_trial(3, "transfer", 1, None)
    return synthetic.write_run(tmp_path / "knowledge-transfer", synthetic.make_ablation_study(num_seeds=6), records)


def test_every_measurement_is_a_row_and_says_whose_it_is(search_run):
    frame, run = trials(search_run), read_run(search_run)
    assert tuple(frame.columns) == TRIAL_COLUMNS
    assert len(frame) == sum(max(1, len(record["measurements"])) for record in run.records) + 2  # two that diverged
    record = run.records[1]
    mine = frame[frame["trial"] == record["fingerprint"]]
    for item in record["measurements"]:
        task = item["conditions"].get("task")
        metric = item["metric"].removeprefix(f"{task}/")
        (row,) = mine[(mine["metric"] == metric) & (mine["task"].fillna("") == (task or ""))].to_dict("records")
        assert row["value"] == item["value"] and row["seed"] == record["spec"]["seed"] and pd.isna(row["arm"])
        bounds = (row["low"], row["high"])
        assert (
            np.isnan(bounds).all()
            if item["interval"] is None
            else bounds
            == (
                item["interval"]["low"],
                item["interval"]["high"],
            )
        )


def test_a_path_its_text_and_its_run_give_the_same_frame(search_run):
    frame = trials(search_run)
    pd.testing.assert_frame_equal(frame, trials(str(search_run)))
    pd.testing.assert_frame_equal(frame, trials(read_run(search_run)))


def test_changed_says_what_differs_from_the_baseline(synthetic, tmp_path):
    records = [synthetic.make_trial(0, synthetic.make_spec()), synthetic.make_trial(1, synthetic.make_spec(8))]
    run = read_run(synthetic.write_run(tmp_path / "r", synthetic.make_study(), records))
    assert trials(run).groupby("trial")["changed"].first().tolist() == ["nothing", "bottleneck 8"]
    (tmp_path / "r" / "study.json").unlink()
    with pytest.warns(UserWarning, match="r: study.json: missing"):
        assert trials(tmp_path / "r")["changed"].isna().all()


def test_a_trial_without_accuracy_keeps_a_row_for_it(ablation):
    frame = trials(ablation)
    lost = frame[(frame["arm"] == "transfer") & (frame["seed"] == 1) & (frame["metric"] == "accuracy")]
    assert lost["task"].isna().all() and lost["value"].isna().tolist() == [True]
    whole = frame[(frame["metric"] == "accuracy") & frame["task"].isna()]
    assert whole.groupby(["arm", "seed"]).size().tolist() == [1] * 12


def test_scores_of_validation_and_of_a_runtime_keep_their_name_beside_the_task(synthetic, tmp_path):
    record = synthetic.make_trial(0, synthetic.make_spec())
    score = synthetic.make_measurement
    record["measurements"] = [
        score("validation/n/f1", 1.0, "%", task="n", split="validation", primary=True),
        score("n/accuracy", 2.0, "%", task="n", split="test", primary=False),
        score("n/f1", 3.0, "%", task="n", split="test", primary=True),
        score("onnx-int8/n/f1", 4.0, "%", task="n", split="test", primary=True, runtime="onnx-int8"),
        score("accuracy", 5.0, "%", split="validation"),
        score("accuracy", 6.0, "%", split="test"),
        score("onnx-int8/accuracy", 7.0, "%", split="test", runtime="onnx-int8"),
    ]
    frame = trials(synthetic.write_run(tmp_path / "r", synthetic.make_study(), [record]))
    shown = {(task if isinstance(task, str) else "", metric): value for task, metric, value in zip(
        frame["task"].astype(object).where(frame["task"].notna(), None), frame["metric"], frame["value"], strict=True
    )}  # fmt: skip
    assert shown == {
        ("n", "validation/f1"): 1.0, ("n", "f1"): 3.0, ("n", "onnx-int8/f1"): 4.0, ("n", "accuracy"): 2.0,
        ("", "validation/accuracy"): 5.0, ("", "accuracy"): 6.0, ("", "onnx-int8/accuracy"): 7.0,
    }  # fmt: skip
    (again,) = run_of(frame).records
    names = {item["metric"]: item["value"] for item in again["measurements"]}
    assert names["validation/n/f1"] == 1.0 and names["onnx-int8/n/f1"] == 4.0 and names["n/f1"] == 3.0
    primary = [item["metric"] for item in again["measurements"] if item["conditions"].get("primary")]
    assert primary == ["n/f1"]


def test_a_trial_of_two_arms_is_in_both(synthetic, tmp_path):
    record = synthetic.make_arm_trial(0, "bare", 0, 70.0)
    record["trials"].append({**record["trials"][0], "number": 1, "arm": "again"})
    frame = trials(synthetic.write_run(tmp_path / "r", synthetic.make_ablation_study(("bare", "again"), 1), [record]))
    assert frame[frame["metric"] == "accuracy"]["arm"].tolist() == ["bare", "again"]
    (made,) = run_of(frame).records
    assert [trial["arm"] for trial in made["trials"]] == ["bare", "again"]
    assert [item["metric"] for item in made["measurements"]].count("accuracy") == 1


def test_an_empty_run_gives_empty_frames_with_their_columns(synthetic, tmp_path):
    run = synthetic.write_run(tmp_path / "r", synthetic.make_study(), [])
    assert len(trials(run)) == 0 and tuple(trials(run).columns) == TRIAL_COLUMNS
    assert len(curves(run)) == 0 and tuple(curves(run).columns) == CURVE_COLUMNS
    assert len(claims(run)) == 0 and len(knobs(run)) == 0


def test_a_file_that_cannot_be_used_is_a_warning_and_a_missing_folder_an_error(search_run, tmp_path, synthetic):
    run = synthetic.write_run(tmp_path / "r", synthetic.make_study(), [])
    (run / "trials" / "broken.json").write_text("{")
    with pytest.warns(UserWarning, match=r"trials/broken\.json: is not JSON but damaged"):
        trials(run)
    with pytest.raises(ValueError, match=r"a run must be a folder, got .*nowhere"):
        trials(tmp_path / "nowhere")


def test_curves_have_a_row_per_logged_value(search_run):
    frame, run = curves(search_run), read_run(search_run)
    assert len(frame) == sum(len(record["curves"]) for record in run.records)
    first = run.records[0]
    assert frame[frame["trial"] == first["fingerprint"]]["value"].tolist() == [p["value"] for p in first["curves"]]


def test_claims_and_knobs_are_the_tables_of_the_page(synthetic, claimed, search_run, tmp_path):
    arms = {"bare": [70.0, 60, 65, 71, 68, 66], "transfer": [72.0, 63, 69, 73, 71, 68]}
    study = claimed.make_study(synthetic, [claimed.make_claim("helps", beats("transfer", "bare"))], arms, 6)
    run = synthetic.write_run(tmp_path / "kt", study, claimed.make_records(synthetic, arms))
    frame = claims(run)
    assert frame["claim"].tolist() == ["helps"] and frame["verdict"].tolist() == ["reproduced"]
    assert frame["effect"].tolist() == [pytest.approx(np.mean(np.subtract(arms["transfer"], arms["bare"])))]
    decided = knobs(search_run)
    assert set(decided["objective"]) == {"accuracy", "latency"} and decided["divergence"].ge(0).all()


def test_a_frame_of_something_else_is_refused(search_run):
    with pytest.raises(ValueError, match=r"a frame must have the columns trial, .* got one without value, low"):
        run_of(trials(search_run).drop(columns=["value", "low"]))


def test_a_part_must_be_named_where_there_are_several():
    assert chosen({"a": 1}, None, "unit") == 1 and chosen({"a": 1, "b": 2}, "b", "unit") == 2
    with pytest.raises(ValueError, match="unit must be one of 'a', 'b', got None"):
        chosen({"a": 1, "b": 2}, None, "unit")
    with pytest.raises(ValueError, match="a figure by unit needs one, got a run without any"):
        chosen({}, "a", "unit")
