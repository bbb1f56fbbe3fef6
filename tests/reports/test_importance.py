import json

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution

from reports.importance import MIN_TRIALS, _by_optuna, _of_choices, _Params, knob_importance
from reports.page import write_report
from reports.points import chosen_by
from reports.records import value_of


def ratio(record):
    return value_of(record, "latency_ratio")


def test_the_knob_that_decides_passes_its_chance_mark_and_comes_first(synthetic):
    result = knob_importance(synthetic.make_search(26), "accuracy", chosen_by, maximize=True)
    assert result.reason == "" and result.num_trials == 24
    first = result.knobs[0]
    assert first.knob == "bottleneck_size" and first.divergence > first.chance
    assert sum(knob.share for knob in result.knobs) == 1.0 or abs(sum(k.share for k in result.knobs) - 1) < 1e-9


def test_too_few_trials_are_said_so(synthetic):
    records = synthetic.make_search(MIN_TRIALS - 1)
    result = knob_importance(records, "latency", ratio, maximize=False)
    assert result.knobs == () and result.reason.startswith("too few trials to say: 17 distinct")


def test_confirmations_and_duplicates_are_no_new_evidence(synthetic):
    records = synthetic.make_search(MIN_TRIALS - 1)
    again = [synthetic.make_trial(50 + n, record["spec"]) for n, record in enumerate(records)]
    confirmed = [{**record, "role": "confirmation"} for record in again]
    # two of the 19 diverged, and their repetition did not
    assert knob_importance([*records, *again, *confirmed], "latency", ratio, maximize=False).num_trials == 19
    assert knob_importance([*records, *confirmed], "latency", ratio, maximize=False).num_trials == 17


def test_equal_results_decide_nothing(synthetic):
    result = knob_importance(synthetic.make_search(24), "accuracy", lambda record: 70.0, maximize=True)
    assert result.knobs == () and result.reason == "all trials have the same value"


def test_unreadable_distributions_do_not_count(synthetic):
    records = synthetic.make_search(24)
    for record in records:
        record["trials"][0]["distributions"] = {name: "{}" for name in record["trials"][0]["params"]}
    assert knob_importance(records, "latency", ratio, maximize=False).num_trials == 0


def test_a_trial_of_another_search_space_does_not_count(synthetic):
    records = synthetic.make_search(24)
    other = '{"name": "CategoricalDistribution", "attributes": {"choices": [8, 16, 24, 32]}}'
    records[0]["trials"][0]["distributions"] = {**synthetic.DISTRIBUTIONS, "bottleneck_size": other}
    assert knob_importance(records, "latency", ratio, maximize=False).num_trials == 21


@pytest.mark.parametrize("num_choices", [2, 5])
def test_choices_are_judged_as_optuna_judges_them(num_choices):
    draw = np.random.default_rng(num_choices)
    kinds = {
        "a": CategoricalDistribution(tuple(range(num_choices))),
        "b": CategoricalDistribution(("x", None, 2.5)),
        "fixed": CategoricalDistribution(("only",)),
        "rare": CategoricalDistribution(tuple(range(40))),
    }
    trials = [
        _Params(values={name: kind.choices[draw.integers(len(kind.choices))] for name, kind in kinds.items()},
                distributions=kinds)
        for _ in range(60)
    ]  # fmt: skip
    losses = [draw.normal(size=60) + np.array([trial.values["a"] for trial in trials]), draw.integers(3, size=60) + 0.0]
    for mine, theirs in zip(_of_choices(trials, np.array(losses)), _by_optuna(trials, losses), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9) and mine["fixed"] == 0.0 and mine["rare"] > 0


def test_equal_results_are_shown_as_missing_with_their_reason(synthetic, tmp_path):
    records = synthetic.make_search(24)
    for record in records:
        for item in record["measurements"]:
            item["value"] = 70.0 if item["metric"].endswith("accuracy") else item["value"]
    text = write_report(synthetic.write_run(tmp_path, synthetic.make_study(), records)).read_text(encoding="utf-8")
    assert "Accuracy: all trials have the same value." in text and ">nan" not in text
    rows = json.loads((tmp_path / "tables" / "importance.json").read_text())
    assert {row["objective"] for row in rows} == {"latency"}


def test_the_log_level_of_optuna_stays_as_it_was(synthetic):
    before = optuna.logging.get_verbosity()
    knob_importance(synthetic.make_search(24), "accuracy", chosen_by, maximize=True)
    assert optuna.logging.get_verbosity() == before
