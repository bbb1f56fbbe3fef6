import pytest

from reports.contrast import LostPair, contrasts, judge, num_left_out


def make(synthetic, bare, *others, **scores):
    """Records of `bare` and of arms a, b, ...: one accuracy per seed, None for a divergence, "" for not trained."""
    records = []
    for arm, values in zip(("bare", "a", "b", "c"), (bare, *others), strict=False):
        for seed, value in enumerate(values):
            if value != "":
                records.append(synthetic.make_arm_trial(len(records), arm, seed, value, **scores))
    study = synthetic.make_ablation_study(("bare", "a", "b", "c")[: 1 + len(others)], len(bare))
    return records, study


def test_differences_are_taken_by_seed_and_every_number_is_the_one_computed_by_hand(synthetic):
    records, study = make(synthetic, [70, 60, 65, 71, 68, 66], [72, 61, 68, 76, 72, 72])
    (found,) = contrasts(records[::-1], study)
    assert (found.arm, found.baseline, found.metric, found.seeds) == ("a", "bare", "accuracy", (0, 1, 2, 3, 4, 5))
    assert found.differences == (2, 1, 3, 5, 4, 6) and found.num_pairs == 6 and found.lost == ()
    assert (found.mean, found.interval, found.p, found.p_holm) == (3.5, (1.0, 6.0), 2 / 64, 2 / 64)
    assert found.deviation == pytest.approx(3.5**0.5)
    assert (found.baseline_mean, found.arm_mean) == (pytest.approx(400 / 6), pytest.approx(421 / 6))
    assert found.verdict == "better" and found.forecast == "" and found.more_seeds is None
    assert found.detectable == pytest.approx(1.78 * 3.5**0.5, rel=0.03) and found.why_not == ""


def test_a_lost_pair_is_counted_with_its_reason(synthetic):
    base = [70.0, 70, None, 70, 70, 70, 70, 70, 70]
    records, study = make(synthetic, base, [72, None, 72, "", 73, 72.5, 73.5, 74, 74.5])
    records[-1]["measurements"] = []
    failed = next(r for r in records if r["trials"][0]["arm"] == "a" and r["spec"]["seed"] == 4)
    failed["status"] = "failed"
    (found,) = contrasts(records, study)
    assert found.num_pairs == 4 and found.seeds == (0, 5, 6, 7)
    assert found.lost == (
        LostPair(seed=1, arm="a", reason="diverged"),
        LostPair(seed=2, arm="bare", reason="diverged"),
        LostPair(seed=3, arm="a", reason="not trained"),
        LostPair(seed=4, arm="a", reason="failed"),
        LostPair(seed=8, arm="a", reason="not measured"),
    )
    assert found.verdict == "cannot tell" and found.interval is None and found.more_seeds is not None


def test_holm_is_taken_over_the_arms_and_a_lost_arm_still_counts(synthetic):
    base = [70.0] * 6
    up = [71, 72, 73, 74, 75, 76]
    records, study = make(synthetic, base, up)
    assert contrasts(records, study)[0].verdict == "better"
    records, study = make(synthetic, base, up, [None] * 6)
    first, second = contrasts(records, study)
    assert (first.p, first.p_holm, first.verdict) == (2 / 64, 4 / 64, "cannot tell")
    assert (second.mean, second.p_holm, second.verdict) == (None, None, "cannot tell")
    assert second.forecast == "no forecast without a pair" and len(second.lost) == 6
    assert first.why_not == "none: too few pairs for any p of 0.025"


def test_the_rule_is_the_one_declared():
    assert judge(0.03, (0.1, 0.9), 0.5, 1.0) == "no difference that matters"
    assert judge(0.5, (-1.0, 1.0), 0.0, 1.0) == "no difference that matters"
    assert judge(0.03, (0.1, 1.1), 0.5, 1.0) == "better"
    assert judge(0.05, (-3.0, -0.5), -1.0, 1.0) == "worse"
    assert judge(0.0501, (-0.5, 1.1), 0.5, 1.0) == "cannot tell"
    assert judge(0.5, (-0.1, 0.1), 0.0, None) == "cannot tell"
    assert judge(0.5, None, 0.0, 1.0) == "cannot tell"


def test_with_too_few_seeds_nothing_is_told_and_the_forecast_says_how_many_are_missing(synthetic):
    (two,) = contrasts(*make(synthetic, [70, 71], [73, 74.2]))
    assert (two.interval, two.p, two.verdict, two.detectable) == (None, 0.5, "cannot tell", None)
    assert two.more_seeds == 4 and two.forecast == "about 4 more seeds"
    (one,) = contrasts(*make(synthetic, [70], [73]))
    assert (one.deviation, one.verdict, one.forecast) == (None, "cannot tell", "no forecast from one pair")
    assert one.why_not == "needs at least two pairs"
    (noisy,) = contrasts(*make(synthetic, [70.0] * 6, [90, 50, 91, 49, 70.4, 70.2]))
    assert noisy.more_seeds is None and noisy.forecast == "more than 64 more seeds"


def test_equal_arms_do_not_differ_and_nothing_is_divided_by_zero(synthetic):
    (found,) = contrasts(*make(synthetic, [70.0, 71, 72, 73, 74, 75], [70.0, 71, 72, 73, 74, 75]))
    assert (found.mean, found.interval, found.p) == (0, (0, 0), 1.0)
    assert found.verdict == "no difference that matters" and found.why_not == "the differences do not vary"


def test_tasks_have_intervals_and_no_verdicts(synthetic):
    study = synthetic.make_ablation_study(num_seeds=6)
    records = synthetic.make_ablation({"bare": 0.0, "transfer": 2.0}, 6)
    records[0]["measurements"].append(synthetic.make_measurement("where/f1", 9.0, "%", split="test", primary=False))
    records[0]["measurements"].append(synthetic.make_measurement("validation/roles/accuracy", 9.0, "%"))
    first, *tasks = contrasts(records, study)
    assert first.metric == "accuracy" and [task.metric for task in tasks] == [
        "agreement/accuracy", "negation/accuracy", "roles/accuracy", "topic pair/accuracy", "where/accuracy",
    ]  # fmt: skip
    assert all(task.verdict is None and task.p_holm is None and task.forecast == "" for task in tasks)
    assert all(task.interval is not None and task.num_pairs == 6 and task.detectable for task in tasks)


def test_the_test_split_is_compared(synthetic):
    records, study = make(synthetic, [70.0] * 6, [71.0] * 6)
    for record in records:
        record["measurements"].insert(0, synthetic.make_measurement("accuracy", 1.0, "%", split="validation"))
    assert contrasts(records, study)[0].mean == 1.0


def test_a_later_trial_of_one_arm_and_seed_supersedes_and_strangers_are_counted(synthetic):
    records, study = make(synthetic, [70.0] * 6, [71.0] * 6)
    again = synthetic.make_arm_trial(90, "a", 0, 77.0)
    strangers = [synthetic.make_arm_trial(91, "x", 0, 77.0), synthetic.make_arm_trial(92, "a", 40, 77.0)]
    everything = [again, *records, *strangers]
    assert contrasts(everything, study)[0].differences == (7, 1, 1, 1, 1, 1)
    assert num_left_out(everything, study) == 3 and num_left_out(records, study) == 0


@pytest.mark.parametrize(
    "study", [{}, {"arms": [{"name": "bare"}]}, {"arms": 3, "seeds": "x"}, {"arms": [{"because": "x"}, 2]}]
)
def test_a_study_without_two_arms_has_no_contrast(synthetic, study):
    assert contrasts(synthetic.make_ablation({"bare": 0.0}, 2), study) == ()


def test_undeclared_seeds_are_those_of_the_records_and_an_undeclared_margin_allows_no_equivalence(synthetic):
    records, study = make(synthetic, [70.0, 70, 70, 70, 70, 70], [70.1, 69.9, 70.2, 69.8, 70.1, 69.9])
    (with_margin,) = contrasts(records, study)
    assert with_margin.verdict == "no difference that matters"
    for broken in ({"smallest_effect": 0}, {"smallest_effect": "x"}, {"smallest_effect": float("nan")}):
        (without,) = contrasts(records, study | broken | {"seeds": []})
        assert without.num_pairs == 6 and without.verdict == "cannot tell"
