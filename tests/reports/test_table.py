import pandas as pd

from reports.table import trial_table, varying_knobs


def test_one_row_per_trial_with_the_knobs_that_vary(synthetic):
    records = [synthetic.make_trial(0, synthetic.make_spec()), synthetic.make_trial(1, synthetic.make_spec(8))]
    table = trial_table(records, synthetic.make_spec())
    assert varying_knobs(records) == ["bottleneck_size", "feed_forward_size"]
    assert table["name"].tolist() == ["baseline (paper's ratios)", "bottleneck 8"]
    assert table["bottleneck_size"].tolist() == [16, 8]
    assert table["accuracy"].iloc[0] == records[0]["measurements"][6]["value"]
    assert table["chosen_by"].iloc[0] == records[0]["measurements"][5]["value"]
    low = records[0]["measurements"][1]["interval"]["low"]
    assert table["latency_ratio_low"].iloc[0] == low
    assert {"agreement/accuracy", "train_seconds", "parameters", "flops"} <= set(table.columns)


def test_what_was_not_measured_is_missing(synthetic):
    table = trial_table([synthetic.make_trial(0, synthetic.make_spec(), status="diverged")])
    assert table["status"].iloc[0] == "diverged" and "not finite" in table["reason"].iloc[0]
    assert pd.isna(table["accuracy"].iloc[0]) and pd.isna(table["accuracy_low"].iloc[0])


def test_no_trials_make_an_empty_table_with_its_columns():
    table = trial_table([])
    assert len(table) == 0 and {"fingerprint", "accuracy", "latency_ratio"} <= set(table.columns)
