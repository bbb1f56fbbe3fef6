"""Paired differences against plain numpy, and what keeps two items from being paired."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.comparison.answer import answer
from reports.comparison.runs import read_whole
from reports.contrast_tables import interval_text
from search.values import to_json
from studies.catalogue import load_study
from studies.data_specs import known_data_spec

TASKS = ("agreement", "roles")


@pytest.fixture
def make_run(synthetic: Any, tmp_path: Path) -> Any:
    """A run of arms whose accuracies are given seed by seed; None diverged."""

    def make(name: str, arms: dict[str, list[float | None]], **study: Any) -> Path:
        records = []
        for place, (arm, values) in enumerate(arms.items()):
            for seed, value in enumerate(values):
                scores = {} if value is None else {TASKS[0]: value + 3 + 0.2 * seed, TASKS[1]: value - 3 - 0.2 * seed}
                records.append(synthetic.make_arm_trial(100 * place + seed, arm, seed, value, **scores))
                records[-1]["spec"]["student"]["num_heads"] = 4 - 2 * (place % 2)
        declared = synthetic.make_ablation_study(tuple(arms), max(map(len, arms.values()))) | study
        return synthetic.write_run(tmp_path / name, declared, records)

    return make


BARE: list[float | None] = [70.0, 71.2, 69.1, 72.4, 70.3, 68.8, 71.9, 70.6]
BETTER: list[float | None] = [73.1, 74.0, 72.9, 74.6, 73.8, 71.2, 74.7, 74.9]
NOISY: list[float | None] = [73.1, 69.0, 70.9, 71.6, 70.8, 69.2, 72.7, 69.9]


def recomputed(run: Path, arms: tuple[str, str], metric: str) -> dict[str, Any]:
    """Mean, p and interval of a paired difference, from the files alone: signs flipped one by one."""
    values: dict[str, dict[int, float]] = {arm: {} for arm in arms}
    for path in (run / "trials").glob("*.json"):
        record = json.loads(path.read_text())
        arm = record["trials"][0]["arm"]
        for one in record["measurements"]:
            if arm in values and record["status"] == "complete" and one["metric"] == metric:
                values[arm][record["spec"]["seed"]] = one["value"]
    seeds = sorted(values[arms[0]].keys() & values[arms[1]].keys())
    differences = np.array([values[arms[0]][seed] - values[arms[1]][seed] for seed in seeds])

    def p_of(mark: float) -> float:
        shifted = differences - mark
        flips = np.array(list(itertools.product([1, -1], repeat=len(shifted)))) @ shifted
        beyond = min((flips >= shifted.sum() - 1e-9).mean(), (flips <= shifted.sum() + 1e-9).mean())
        return float(min(1.0, 2 * beyond))

    subsets = [pick for pick in itertools.product([0, 1], repeat=len(seeds)) if any(pick)]
    marks = sorted(float(np.dot(pick, differences)) / sum(pick) for pick in subsets)
    kept = [mark for mark in marks if p_of(mark) > 0.05]
    return {"mean": float(differences.mean()), "p": p_of(0.0), "low": min(kept), "high": max(kept), "n": len(seeds)}


def test_every_difference_is_what_plain_numpy_makes_of_the_files(make_run: Any) -> None:
    run = make_run("ladder-cpu", {"bare": BARE, "better": BETTER, "noisy": [*NOISY[:7], None]})
    found = answer([f"{run}:bare", f"{run}:better", f"{run}:noisy"])
    for pair, arm in zip(found.pairs, ("better", "noisy"), strict=True):
        assert pair.accuracy is not None
        for contrast in (pair.accuracy, *pair.tasks):
            expected = recomputed(run, (arm, "bare"), contrast.metric)
            assert contrast.interval is not None
            assert contrast.mean == pytest.approx(expected["mean"]) and contrast.p == pytest.approx(expected["p"])
            assert contrast.interval == pytest.approx((expected["low"], expected["high"]))
            assert contrast.num_pairs == expected["n"]
        assert [one.metric for one in pair.tasks] == ["agreement/accuracy", "roles/accuracy"]
    first, second = (pair.accuracy for pair in found.pairs)
    assert first is not None and second is not None
    assert (first.p_holm, first.verdict) == (pytest.approx(2 * (first.p or 0)), "better")
    assert (second.p_holm, second.verdict) == (pytest.approx(second.p), "cannot tell")
    assert found.sentences[0].startswith("better is better than bare by 3.1 points of accuracy (95 % interval +2.")
    assert found.sentences[1].startswith("Whether noisy is better or worse than bare cannot be told: +0.5 points")
    assert "1 pair lost: noisy diverged at seed 7" in found.sentences[1]
    assert f"would show in 4 of 5 studies is {second.detectable:.1f} points" in found.sentences[1]


def test_a_small_difference_is_none_only_within_the_declared_margin(make_run: Any) -> None:
    close: list[float | None] = [(value or 0.0) + 0.1 * (-1) ** place for place, value in enumerate(BARE)]
    said = answer([str(make_run("close-cpu", {"bare": BARE, "close": close}))]).sentences[0]
    assert said.startswith("There is no difference that matters between close and bare: ")
    assert "all of the interval within 1 point of zero" in said
    undeclared = make_run("open-cpu", {"bare": BARE, "close": close}, smallest_effect=None)
    assert (
        answer([str(undeclared)]).sentences[0].startswith("Whether close is better or worse than bare cannot be told")
    )


@pytest.mark.parametrize(
    ("count", "says"),
    [
        (1, "(1 shared seed, so no interval, which needs 6), and one seed shows nothing of its noise"),
        (2, "(2 shared seeds, so no interval, which needs 6), and 2 seeds cannot show an effect of any size"),
        (5, "(5 shared seeds, so no interval, which needs 6), and 5 seeds cannot show an effect of any size"),
    ],
)
def test_few_seeds_have_no_interval_and_are_counted(make_run: Any, count: int, says: str) -> None:
    found = answer([str(make_run("few-cpu", {"bare": BARE[:count], "better": BETTER[:count]}))])
    accuracy = found.pairs[0].accuracy
    assert accuracy is not None and accuracy.interval is None and accuracy.verdict == "cannot tell"
    assert interval_text(accuracy) == "no interval below 6 pairs"
    assert says in found.sentences[0]


def test_two_trials_of_one_seed_are_one_pair_and_of_two_seeds_none(make_run: Any) -> None:
    run = make_run("pair-cpu", {"bare": BARE[:2], "better": BETTER[:2]})
    same = answer([f"{run}:0000", f"{run}:0064"])
    assert same.pairs[0].shared_seeds == (0,) and same.pairs[0].accuracy is not None
    assert same.pairs[0].accuracy.differences == pytest.approx((3.1,))
    other = answer([f"{run}:0000", f"{run}:0065"])
    assert other.pairs[0].shared_seeds == ()
    assert other.sentences[0].startswith(
        "Nothing can be said of the accuracy of pair-cpu:00650101 against pair-cpu:0000"
    )
    assert "they share no seed, so there is no pair; pair-cpu:00650101 takes " in other.sentences[0]


def test_a_diverged_arm_and_a_missing_metric_lose_their_pairs_and_say_so(make_run: Any) -> None:
    run = make_run("lost-cpu", {"bare": BARE, "blown": [None] * 8})
    found = answer([str(run)])
    assert found.sentences[0].startswith(
        "Nothing can be said of blown against bare: of 8 shared seeds none has a result in both (blown diverged at "
    )
    assert found.choice is not None and found.choice.chosen is not None and found.choice.chosen.name == "bare"
    for path in (run / "trials").glob("*.json"):
        record = json.loads(path.read_text())
        if record["trials"][0]["arm"] == "bare" and record["spec"]["seed"] == 3:
            record["measurements"] = [one for one in record["measurements"] if one["metric"] != "roles/accuracy"]
        path.write_text(json.dumps(record))
    tasks = {one.metric: one for one in answer([f"{run}:bare", f"{run}:0000"]).pairs[0].tasks}
    assert tasks["roles/accuracy"].num_pairs == 1
    losing = answer([f"{run}:0000", f"{run}:bare"]).pairs[0].tasks
    assert [one.num_pairs for one in losing] == [1, 1]


def test_the_same_arm_of_two_runs_is_paired_where_nothing_that_counts_differs(make_run: Any) -> None:
    one = make_run("one-cpu", {"bare": BARE, "other": BETTER})
    two = make_run("two-cpu", {"bare": NOISY, "third": BETTER})
    found = answer([str(one), str(two)])
    assert [(pair.subject.name, pair.against.name) for pair in found.pairs] == [("two-cpu:bare", "one-cpu:bare")]
    assert found.pairs[0].accuracy is not None and found.pairs[0].accuracy.num_pairs == 8
    assert found.unmatched == ("one-cpu:other", "two-cpu:third")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("teacher", None, "one has a teacher, the other none"),
        ("data", {"identity": "other", "length": 64}, "their data differ in identity"),
    ],
)
def test_items_of_different_runs_with_another_teacher_or_data_are_not_paired(
    make_run: Any, field: str, value: Any, says: str
) -> None:
    one, two = make_run("one-cpu", {"bare": BARE}), make_run("two-cpu", {"bare": BETTER})
    change(two, lambda record: record["spec"].update({field: value}))
    found = answer([f"{one}:bare", f"{two}:bare"])
    assert found.pairs[0].not_paired == says and found.pairs[0].accuracy is None
    assert f"their seeds are no pairs: {says}; both are the same encoder" in found.sentences[0]
    assert any(one.field.startswith(field) for one in found.pairs[0].changes)


def change(run: Path, edit: Any) -> None:
    for path in (run / "trials").glob("*.json"):
        record = json.loads(path.read_text())
        edit(record)
        path.write_text(json.dumps(record))


def test_updates_must_be_equal_across_runs_and_what_else_differs_is_said(make_run: Any) -> None:
    study = load_study("training-objectives")
    arms = {arm.name: arm.spec for arm in study.declare("cpu", known_data_spec(study.sources("cpu"), Path())).arms}  # type: ignore[union-attr]
    one, two = make_run("one-cpu", {"bare": BARE}), make_run("two-cpu", {"bare": BETTER})

    def put(run: Path, arm: str) -> None:
        def edit(record: Any) -> None:
            record["spec"] = to_json(arms[arm]) | {"seed": record["spec"]["seed"]}
            record["spec"]["teacher"] = None

        change(run, edit)

    put(one, "bare")
    put(two, "IB-BERT")
    change(two, lambda record: record["provenance"].update(machine="Another"))
    found = answer([f"{one}:bare", f"{two}:bare"]).pairs[0]
    assert found.not_paired.startswith("their numbers of updates differ, ")
    assert found.surroundings == ("machine AMD EPYC -> Another",)
    put(two, "bare")
    assert answer([f"{one}:bare", f"{two}:bare"]).pairs[0].not_paired == ""


def test_the_same_trials_under_two_names_are_no_evidence(make_run: Any) -> None:
    run = make_run("one-cpu", {"bare": BARE, "better": BETTER})
    found = answer([f"{run}:bare", f"{run}:bare", f"{run}:better"])
    assert found.sentences[0].startswith("one-cpu:bare (2) and one-cpu:bare are the same trials; ")
    assert found.pairs[1].accuracy is not None
    assert found.pairs[1].accuracy.p_holm == found.pairs[1].accuracy.p


def test_accuracies_of_int8_and_of_training_are_not_paired(synthetic: Any, make_run: Any, tmp_path: Path) -> None:
    arms = make_run("arms", {"bare": BARE[:2]})
    record = synthetic.make_trial(0, synthetic.make_spec())
    scored = [one for one in record["measurements"] if "split" in one["conditions"]]
    record["measurements"] += [
        one | {"metric": f"onnx-int8/{one['metric']}", "conditions": one["conditions"] | {"runtime": "onnx-int8"}}
        for one in scored
    ]
    study = synthetic.make_study() | {"objectives": ["onnx-int8/validation/accuracy", "latency_ratio"]}
    search = synthetic.write_run(tmp_path / "search", study, [record])
    (pair,) = answer([f"{search}:{record['fingerprint']}", f"{arms}:bare"]).pairs
    assert pair.not_paired in {
        "their accuracies are of other forms, onnx-int8 and as trained",
        "their accuracies are of other forms, as trained and onnx-int8",
    }
    assert pair.accuracy is None


def test_a_search_under_a_cap_stands_for_its_best_point_under_the_cap(synthetic: Any, tmp_path: Path) -> None:
    records = synthetic.make_search(8)
    free = synthetic.write_run(tmp_path / "free", synthetic.make_study(), records)
    times = sorted(
        one["value"]
        for record in records
        if record["status"] == "complete"
        for one in record["measurements"]
        if one["metric"] == "latency_ms"
    )
    capped = synthetic.write_run(tmp_path / "capped", synthetic.make_study() | {"max_latency_ms": times[0]}, records)
    chosen = [read_whole(folder, {}).subjects[0].records[0] for folder in (free, capped)]
    took = [next(one["value"] for one in record["measurements"] if one["metric"] == "latency_ms") for record in chosen]
    assert took[1] == times[0] < took[0]
