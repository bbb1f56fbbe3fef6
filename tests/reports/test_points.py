from reports.points import configuration_key, points


def make_records(synthetic):
    """The baseline with two fresh seeds, and a faster and worse configuration."""
    records = [
        synthetic.make_trial(0, synthetic.make_spec()),
        synthetic.make_trial(1, synthetic.make_spec(8, 2, 1)),
        synthetic.make_trial(0, synthetic.make_spec(seed=1), role="confirmation"),
        synthetic.make_trial(0, synthetic.make_spec(seed=2), role="confirmation"),
    ]
    for record, accuracy, ratio in zip(records, (74.0, 65.0, 70.0, 72.0), (0.5, 0.2, 0.51, 0.52), strict=True):
        record["measurements"] = [
            synthetic.make_measurement("accuracy", accuracy, "%", split="test"),
            synthetic.make_measurement("latency_ratio", ratio, "x reference", 0.01),
        ]
    return records


def test_a_key_ignores_seeds_and_nothing_else(synthetic):
    assert configuration_key(synthetic.make_spec(seed=0)) == configuration_key(synthetic.make_spec(seed=3))
    assert configuration_key(synthetic.make_spec(8)) != configuration_key(synthetic.make_spec(16))


def test_seeds_of_one_configuration_are_one_point_with_mean_and_range(synthetic):
    fast, base = points(make_records(synthetic), synthetic.make_spec())
    assert (base.num_seeds, base.accuracy, base.accuracy_interval) == (3, 72.0, (70.0, 74.0))
    assert base.search_accuracy == 74.0 and base.latency_ratio == 0.5 and base.is_baseline
    assert (fast.num_seeds, fast.accuracy, fast.accuracy_interval) == (1, 65.0, None)
    assert fast.name == "bottleneck 8, 2 heads, 1 FFN" and not fast.is_baseline
    assert fast.on_front and base.on_front and not base.in_doubt
    assert fast.latency_ms is None and fast.parameters is None


def test_a_confirmation_read_before_its_search_trial_does_not_become_the_search_seed(synthetic):
    records = make_records(synthetic)
    assert points(records[::-1], synthetic.make_spec()) == points(records, synthetic.make_spec())


def test_the_front_is_chosen_by_validation_and_shown_by_test(synthetic):
    records = make_records(synthetic)[:2]
    records[1]["measurements"].append(synthetic.make_measurement("validation/accuracy", 60.0, "%"))
    records[0]["measurements"].append(synthetic.make_measurement("accuracy", 59.0, "%", split="validation"))
    fast, slow = points(records, None)
    assert fast.on_front and not slow.on_front
    assert (fast.accuracy, slow.accuracy) == (65.0, 74.0)


def test_trials_without_accuracy_or_latency_are_no_points(synthetic):
    diverged = synthetic.make_trial(0, synthetic.make_spec(), status="diverged")
    unmeasured = synthetic.make_trial(1, synthetic.make_spec(8))
    unmeasured["measurements"] = [m for m in unmeasured["measurements"] if m["metric"] != "latency_ratio"]
    assert points([diverged, unmeasured], None) == []
