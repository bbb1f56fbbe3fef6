from reports.background import data_tables, provenance, scaling_table, words
from reports.records import Run


def test_the_data_report_becomes_tables_without_empty_columns(synthetic):
    (tasks, table), (_, corpus), (_, rest) = data_tables(synthetic.make_study())
    assert tasks == "tasks" and table.heads == ("name", "kind", "rows", "labels", "made", "truncated", "majority")
    assert table.rows[0][2].text == "train 2,000, validation 200, test 500"
    assert corpus.heads == ("name", "documents", "segments", "pieces") and corpus.rows[0][0].text == "corpus"
    assert [cell.text for cell in rest.rows[1]] == ["vocab size", "500"]


def test_what_is_no_report_makes_no_table():
    assert data_tables({}) == [] and data_tables({"data_report": "x"}) == []
    assert scaling_table({"scaling": [1, "x"]}).rows == ()


def test_any_value_fits_on_one_line():
    assert words({"a": [1, True, None], "b": {}}) == "a 1, yes, -, b (none)"
    assert words(None) == "not recorded" and words(0.012345) == "0.01235" and words([]) == "none"


def test_differing_machines_are_all_listed(synthetic):
    records = [synthetic.make_trial(n, synthetic.make_spec()) for n in range(2)]
    records[1]["provenance"] |= {"machine": "other", "dirty": True, "versions": {"torch": "2.10.0"}}
    facts = dict(provenance(Run(name="x", study={}, records=tuple(records), problems=())))
    assert facts["machine"] == "AMD EPYC, other" and facts["torch"] == "2.13.0, 2.10.0"
    assert facts["commit"].endswith("(with uncommitted changes)")
    assert facts["first trial started"] == "2026-11-23T20:00:00Z"
