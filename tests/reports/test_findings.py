from reports.findings import conclusions, headline
from reports.points import points
from reports.records import Run


def sentences(synthetic, records, study=None):
    study = synthetic.make_study() if study is None else study
    run = Run(name="run", study=study, records=tuple(records), problems=())
    found = points(list(records), study.get("baseline"))
    return " ".join(headline(run, found)), " ".join(conclusions(run, found))


def make(synthetic, knobs, accuracy, ratio, seed=0, role="search", number=0):
    record = synthetic.make_trial(number, synthetic.make_spec(*knobs, seed=seed), role=role)
    record["measurements"] = [
        synthetic.make_measurement("accuracy", accuracy, "%", split="test"),
        synthetic.make_measurement("latency_ratio", ratio, "x reference", 0.01, reference="<b>", device="cpu"),
    ]
    return record


def test_the_headline_names_the_best_and_the_fastest_close_to_it(synthetic):
    records = [
        make(synthetic, (16, 4, 4), 70.0, 0.50),
        make(synthetic, (32, 4, 4), 72.0, 0.90, number=1),
        make(synthetic, (24, 4, 4), 71.2, 0.40, number=2),
        make(synthetic, (8, 4, 4), 60.0, 0.10, number=3),
        synthetic.make_trial(7, synthetic.make_spec(8, 1, 1), status="diverged"),
    ]
    text, _ = sentences(synthetic, records)
    assert text.startswith("5 trials: 4 complete, 1 diverged. ")
    assert "most accurate of the 3 configurations on the front, <strong>bottleneck 32</strong>, reaches 72.0 %" in text
    assert "the fastest within 1 point of it, <strong>bottleneck 24</strong>, reaches 71.2 % at 0.40 x." in text
    assert "The baseline reaches 70.0 % at 0.50 x and is not on the front; 1 configuration measured both" in text


def test_when_none_is_close_it_says_so(synthetic):
    records = [make(synthetic, (16, 4, 4), 70.0, 0.5), make(synthetic, (8, 4, 4), 60.0, 0.1, number=1)]
    assert "no faster one comes within 1 point of it." in sentences(synthetic, records)[0]


def test_one_seed_allows_no_more_than_a_shortlist(synthetic):
    records = [make(synthetic, (16, 4, 4), 70.0, 0.5), make(synthetic, (8, 4, 4), 60.0, 0.1, number=1)]
    _, text = sentences(synthetic, records)
    assert "<strong>One seed.</strong>" in text and "shortlist" in text
    assert "For 2 of 2 front points no interval of the accuracy was recorded" in text
    assert "reference (&lt;b&gt;)" in text


def test_the_winners_curse_is_a_number(synthetic):
    records = [
        make(synthetic, (16, 4, 4), 74.0, 0.5),
        make(synthetic, (16, 4, 4), 71.0, 0.5, seed=1, role="confirmation"),
        make(synthetic, (16, 4, 4), 72.0, 0.5, seed=2, role="confirmation"),
        make(synthetic, (32, 4, 4), 60.0, 0.9, number=1),
    ]
    headline_text, text = sentences(synthetic, records)
    assert "2 of them train front configurations again" in headline_text
    assert "on average 2.5 points above the fresh seeds (the winner's curse)" in text
    assert "at least 6 paired seeds" in text


def test_tasks_no_better_than_the_majority_are_named(synthetic):
    record = synthetic.make_trial(0, synthetic.make_spec())
    study = synthetic.make_study() | {"majority": {"agreement": {"metric": "accuracy", "value": 99.0}}}
    _, text = sentences(synthetic, [record], study)
    assert "On agreement the most accurate configuration is not clearly above" in text


def test_runs_with_nothing_to_say_say_that(synthetic):
    assert sentences(synthetic, []) == ("This run has no trials yet.", "")
    diverged = [synthetic.make_trial(n, synthetic.make_spec(), status="diverged") for n in range(2)]
    text, more = sentences(synthetic, diverged)
    assert text == "2 trials: 2 diverged. No trial has both an accuracy and a latency, so there is no front to show."
    assert "2 trials diverged: no accuracy" in more
    assert "nothing to compare it with" in sentences(synthetic, [synthetic.make_trial(0, synthetic.make_spec())])[0]


def predicted(synthetic, knobs, ratio, measured=None, number=0):
    record = make(synthetic, knobs, 70.0, ratio, number=number)
    record["measurements"][1]["conditions"]["source"] = "predicted"
    if measured is not None:
        record["measurements"].append(synthetic.make_measurement("measured_latency_ratio", measured, "x reference"))
    return record


def test_the_page_says_where_predicted_and_measured_latency_differ(synthetic):
    records = [
        predicted(synthetic, (16, 4, 4), 0.50, 0.505),
        predicted(synthetic, (32, 4, 4), 0.90, 1.00, number=1),
        predicted(synthetic, (8, 4, 4), 0.30, number=2),
    ]
    text = sentences(synthetic, records)[1]
    assert "1 of 2 lie inside the predicted 95 % interval, and the prediction is off by 5.5 % on average" in text
    assert "outside are bottleneck 32: predicted 0.90 x, measured 1.00 x." in text
    assert "for all 1 trial; none was measured" in sentences(synthetic, records[2:])[1]
    assert "Latency is predicted" not in sentences(synthetic, [make(synthetic, (16, 4, 4), 70.0, 0.5)])[1]
