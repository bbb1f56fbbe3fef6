"""The short HTML forms: what they say, and that no name becomes a tag."""

import re

import pytest

from reports.compare import compare
from reports.contrast import contrasts
from reports.reading import read_run
from reports.verdict import verdicts
from search.claim import beats

EVIL = "<script>alert(1)</script>"


def cells(html):
    """Text of every cell by row."""
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]
    return [[cell.replace("&#x27;", "'") for cell in row] for row in rows]


@pytest.fixture
def run(synthetic, claimed, tmp_path):
    arms = {"bare": [70.0, 60, 65, 71, 68, 66], EVIL: [72.0, 63, 69, None, 71, 68]}
    study = claimed.make_study(synthetic, [claimed.make_claim(EVIL, beats(EVIL, "bare"))], arms, 6)
    folder = synthetic.write_run(tmp_path / "kt", study, claimed.make_records(synthetic, arms))
    (folder / "trials" / "<b>.json").write_text("{")
    return read_run(folder)


def test_a_run_says_its_question_its_trials_and_its_problems(run):
    found = dict(cells(run._repr_html_()))
    assert found["question"] == run.study["question"] and found["trials"] == "11 complete, 1 diverged"
    assert found["arms"].startswith("bare, &lt;script&gt;") and found["seeds"] == "0, 1, 2, 3, 4, 5"
    assert len(repr(run)) < 300  # not all of its records
    assert found["claims"] == "1 claim" and found["problem"].startswith("trials/&lt;b&gt;.json: is not JSON")


def test_a_verdict_is_a_sentence_and_its_numbers(run):
    (verdict,) = verdicts(run)
    html = verdict._repr_html_()
    assert html.startswith("<p><strong>") and "<script>" not in html
    found = dict(cells(html))
    assert found["n"] == "5" and found["margin"] == "1" and "diverged at seed 3" in found["lost"]
    assert found["verdict"].startswith(verdict.outcome)


def test_a_contrast_says_difference_and_interval(run):
    contrast = contrasts(run.records, run.study)[0]
    found = dict(cells(contrast._repr_html_()))
    assert found["pairs"] == "5" and found["95 % interval"] == "no interval below 6 pairs"
    assert found["difference, points"] == "+2.80" and "<script>" not in contrast._repr_html_()


def test_a_comparison_is_its_table(tmp_path):
    comparison = compare(["mobilebert", "mobilebert-tiny"])
    found = cells(comparison._repr_html_())
    assert found[0] == ["", "mobilebert", "mobilebert-tiny"] and ["num_feed_forward", "4", "2"] in found
