import json
from dataclasses import replace

import pytest

from model_zoo.presets import mobilebert_tiny
from reports.cleaning import clean
from reports.reading import read_run, read_trials
from reports.records import (
    Run,
    baseline_of,
    find_measurement,
    interval_of,
    majority_mean,
    majority_of,
    primary_tasks,
    task_metrics,
    teacher_of,
    value_of,
)
from search.data.spec import DataSpec
from search.fingerprint import fingerprint
from search.recipe import FineTuning, Optimizer, PreTraining, Recipe
from search.record import Measurement, Proposal, TrialRecord, write_record
from search.trial import TrialSpec


def test_trials_are_read_in_the_order_of_their_optuna_number(synthetic, tmp_path):
    records = [synthetic.make_trial(number, synthetic.make_spec()) for number in (3, 1, 2)]
    folder = synthetic.write_run(tmp_path / "run", synthetic.make_study(), records)
    assert [record["trials"][0]["number"] for record in read_trials(folder)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", "{not json", "a.json: is not JSON"),
        ("a.json", "\udcff", "a.json: is not JSON"),
        ("a.json", "[" * 100_000, "a.json: is not JSON"),
        ("a.json", "[]", "is not a trial of schema 1"),
        ("a.json", '{"schema": 0, "fingerprint": "a"}', "is not a trial of schema 1"),
        ("a.json", '{"schema": 2, "fingerprint": "a"}', "schema 2, newer than the 1 that this version reads; update"),
        ("a.json", '{"schema": 1, "fingerprint": "a", "status": "running"}', "no status out of complete"),
        ("a.json", '{"schema": 1, "fingerprint": "a", "status": "complete", "spec": {}}', "no spec with a student"),
        (
            "b.json",
            '{"schema": 1, "fingerprint": "a", "status": "failed", "spec": {"student": {}}}',
            "holds the trial a",
        ),
    ],
)
def test_a_file_that_is_no_trial_is_named_and_the_others_are_kept(synthetic, tmp_path, name, content, says):
    folder = synthetic.write_run(tmp_path, synthetic.make_study(), [synthetic.make_trial(0, synthetic.make_spec())])
    (folder / "trials" / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    run = read_run(folder)
    assert len(run.records) == 1
    assert len(run.problems) == 1 and says in run.problems[0] and run.problems[0].startswith(f"trials/{name}")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "true", '"70"', "null"])
def test_a_measurement_that_is_no_finite_number_makes_a_problem_and_no_number(synthetic, tmp_path, value):
    record = synthetic.make_trial(0, synthetic.make_spec())
    text = json.dumps(record).replace(json.dumps(record["measurements"][0]["value"]), value, 1)
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / f"{record['fingerprint']}.json").write_text(text)
    run = read_run(tmp_path)
    assert run.records == () and "no finite number" in run.problems[-1]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds study.json or trials/, got .* with neither"):
        read_run(tmp_path)
    with pytest.raises(ValueError, match=r"a run must be a folder, got .*missing"):
        read_run(tmp_path / "missing")


def test_a_run_without_study_says_so(synthetic, tmp_path):
    folder = synthetic.write_run(tmp_path / "x", None, [])
    assert read_run(folder).problems[0].startswith("study.json: missing")
    assert read_run(folder).name == "x"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("thinbert run --corpus /home/ada/texts --workers 2", "thinbert run --corpus ~/texts --workers 2"),
        ("--corpus=/Users/ada l/texts", "--corpus=~/texts"),
        ("/home/ada", "~"),
        ("cannot open '/srv/data/ada/corpus.txt'", "cannot open '.../corpus.txt'"),
        ('File "/usr/lib/python3/x.py", line 3', 'File ".../x.py", line 3'),
        (r"C:\Users\ada\runs\x", r"~\runs\x"),
        (r"D:\data\runs\x.json", ".../x.json"),
        ("file:///srv/data/a.csv", ".../a.csv"),
        ("/".join(("", "root", "runs")), "~/runs"),
        ("Q/K/V and agreement/accuracy and 1 / 2", "Q/K/V and agreement/accuracy and 1 / 2"),
        ("../shared/data/corpus", "../shared/data/corpus"),
        ("~/texts/corpus", "~/texts/corpus"),
    ],
)
def test_absolute_paths_and_user_names_are_shortened(text, cleaned):
    assert clean(text) == cleaned
    assert clean({"key": [text]}) == {"key": [cleaned]}


def test_the_asked_split_is_found_and_a_missing_measurement_is_none(synthetic):
    record = synthetic.make_trial(0, synthetic.make_spec())
    record["measurements"] = [
        synthetic.make_measurement("accuracy", 71.0, "%", split="validation"),
        synthetic.make_measurement("accuracy", 70.0, "%", 2.0, split="test"),
    ]
    assert value_of(record, "accuracy", "test") == 70.0
    assert value_of(record, "accuracy", "validation") == 71.0
    assert interval_of(record, "accuracy", "test") == (68.0, 72.0)
    assert interval_of(record, "accuracy", "validation") is None
    assert find_measurement(record, "latency_ms") is None


@pytest.mark.parametrize(
    "study", [{}, {"teacher": 3, "majority": [1], "baseline": "x"}, {"majority": {"a": {"value": "b"}}}]
)
def test_what_a_study_lacks_is_empty(study):
    assert teacher_of(study) == {"fingerprint": "", "measurements": []}
    assert majority_of(study) == {}
    assert baseline_of(study) is None


def test_scores_of_tasks_leave_out_validation_and_list_the_primary_metric_first(synthetic):
    record = synthetic.make_trial(0, synthetic.make_spec())
    record["measurements"] = [
        synthetic.make_measurement("validation/where/f1", 1.0, "%", primary=True),
        synthetic.make_measurement("where/exact_match", 1.0, "%", primary=False),
        synthetic.make_measurement("where/f1", 2.0, "%", primary=True),
        synthetic.make_measurement("roles/accuracy", 3.0, "%", primary=True),
        synthetic.make_measurement("accuracy", 2.5, "%"),
    ]
    assert task_metrics([record]) == ["roles/accuracy", "where/f1", "where/exact_match"]
    assert primary_tasks([record]) == ["roles", "where"]


def test_the_majority_mean_counts_tasks_without_classes_as_zero(synthetic):
    record = synthetic.make_trial(0, synthetic.make_spec())
    study = {"majority": {"agreement": {"value": 50}, "other": {"value": 90}}}
    run = Run(name="x", study=study, records=(record,), problems=())
    assert majority_mean(run) == 50 / 5
    assert majority_mean(replace(run, study={})) is None


def test_a_file_written_by_the_driver_is_read(tmp_path):
    student = mobilebert_tiny()
    stage = {"steps": 10, "batch_size": 2, "optimizer": Optimizer(learning_rate=0.001)}
    recipe = Recipe(pre_training=PreTraining(**stage), fine_tuning=FineTuning(**stage))
    data = DataSpec(corpus="a", vocabulary="b", vocab_size=student.vocab_size, length=16, tasks=())
    spec = TrialSpec(student=student, recipe=recipe, data=data, seed=0)
    measured = Measurement(metric="accuracy", value=70.0, unit="%", n=1, conditions={"split": "test"})
    record = TrialRecord(
        fingerprint=fingerprint(spec), status="complete", role="search", spec=spec, measurements=(measured,), curves=(),
        provenance={}, trials=(Proposal(number=4, generation=1, params={}, distributions={}),),
    )  # fmt: skip
    write_record(tmp_path / "trials" / f"{record.fingerprint}.json", record)
    (found,) = read_trials(tmp_path)
    assert found["fingerprint"] == record.fingerprint and value_of(found, "accuracy", "test") == 70.0


def test_equal_parts_of_specifications_are_one_object_and_unequal_ones_are_not(synthetic, tmp_path):
    records = synthetic.make_search(3)
    records[2]["spec"]["data"] = {**records[2]["spec"]["data"], "length": float(records[2]["spec"]["data"]["length"])}
    run = read_run(synthetic.write_run(tmp_path / "run-cpu", None, records))
    one, two, odd = (record["spec"]["data"] for record in run.records)
    assert one is two and odd == one and odd is not one
    assert isinstance(odd["length"], float) and isinstance(one["length"], int)
