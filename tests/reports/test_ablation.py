import csv
import importlib.util
import json
from pathlib import Path

import pytest

from reports.ablation import ablation_conclusions, ablation_headline, rule
from reports.contrast import contrasts
from reports.page import write_report
from reports.points import points
from reports.records import Run
from reports.summary import summary_rows


def make(synthetic, *arms, num_seeds=None, **study):
    """A run of arms (the first one 70 in every seed) with one accuracy per seed; None for a divergence."""
    names = ("bare", "transfer", "third")[: 1 + len(arms)]
    rows = [[70.0] * len(arms[0]), *arms]
    records = [
        synthetic.make_arm_trial(100 * place + seed, name, seed, value)
        for place, (name, values) in enumerate(zip(names, rows, strict=True))
        for seed, value in enumerate(values)
    ]
    declared = synthetic.make_ablation_study(names, num_seeds or len(arms[0])) | study
    return Run(name="run", study=declared, records=tuple(records), problems=())


def said(run):
    judged = contrasts(run.records, run.study)
    found = points(list(run.records), run.study.get("baseline"))
    return " ".join(ablation_headline(run, judged)), " ".join(ablation_conclusions(run, found, judged))


@pytest.mark.parametrize(
    ("accuracies", "sentence"),
    [
        (
            [72, 72.5, 73, 73.5, 74, 74.5],
            "<strong>transfer</strong> is better than <strong>bare</strong> by 3.2 points of accuracy (95 % interval "
            "+2.0 to +4.5, 6 paired seeds, p = 0.031), all of the interval beyond the 1 point that would matter.",
        ),
        (
            [69.6, 69.3, 68, 67.5, 67, 66],
            "<strong>transfer</strong> is worse than <strong>bare</strong> by 2.1 points of accuracy (95 % interval "
            "-4.0 to -0.4, 6 paired seeds, p = 0.031); whether by the 1 point that would matter is open.",
        ),
        (
            [70.1, 69.9, 70.3, 69.6, 70.2, 70.3],
            "There is no difference that matters between <strong>transfer</strong> and <strong>bare</strong>: +0.1 "
            "points of accuracy (95 % interval -0.4 to +0.3, 6 paired seeds, p = 0.656); the whole interval lies "
            "within 1 point of zero.",
        ),
        (
            [72, 69.5, 73, None, 70.5, 71, 70.2],
            "Whether <strong>transfer</strong> is better or worse than <strong>bare</strong> cannot be told yet: +1.0 "
            "points of accuracy (95 % interval -0.5 to +3.0, 6 paired seeds, p = 0.125, 1 pair lost). About ",
        ),
        (
            [72, 73],
            "cannot be told yet: +2.5 points of accuracy (2 paired seeds, p = 0.500). No verdict is possible below 6 "
            "paired seeds; about 4 more seeds might settle it.",
        ),
        ([None, None], "Nothing can be said of <strong>transfer</strong> against <strong>bare</strong>: no seed has"),
    ],
)
def test_the_verdict_comes_first(synthetic, accuracies, sentence):
    run = make(synthetic, accuracies)
    text, _ = said(run)
    assert sentence in text and text.index("<strong>") < text.index(f"{len(run.records)} trials")


def test_what_weakens_a_verdict_is_said(synthetic):
    _, text = said(make(synthetic, [71, 72, None, 71.5, 72.5, 73, 72.2]))
    assert "1 of 7 pairs of transfer lost</strong>: transfer diverged at seed 2. The seeds that are left may" in text
    _, text = said(make(synthetic, [71, 72]))
    assert "Too few pairs for any verdict.</strong> With 2 pairs the sign-flip p cannot go below 0.5" in text
    assert "a test repeated until it agrees is no test" in text
    _, text = said(make(synthetic, [70.0] * 6))
    assert "Every difference of transfer is exactly 0" in text


def test_trials_outside_the_declaration_are_counted(synthetic):
    _, text = said(make(synthetic, [71.0] * 8, num_seeds=6))
    assert "4 trials are in no contrast" in text


def test_the_rule_names_the_margin_and_the_family(synthetic):
    run = make(synthetic, [71.0] * 6, [72.0] * 6, smallest_effect=0.5)
    text = rule(run, contrasts(run.records, run.study))
    assert "within 0.5 points of zero" in text and "adjusted by Holm over 2 arms" in text
    run = make(synthetic, [71.0] * 6, smallest_effect=None)
    assert "Holm" not in rule(run, contrasts(run.records, run.study)) and "no difference" not in rule(run, ())


def test_an_ablation_without_arms_or_trials_says_so(synthetic):
    run = make(synthetic, [71.0] * 2, arms=[])
    assert said(run)[0].startswith("study.json names fewer than two arms")
    empty = Run(name="run", study=synthetic.make_ablation_study(), records=(), problems=())
    assert said(empty)[0].endswith("This run has no trials yet.") and said(empty)[1] == ""


@pytest.fixture(scope="module")
def report(synthetic, tmp_path_factory):
    records = synthetic.make_ablation({"bare": 0.0, "transfer": 2.2, "=evil <b>": 0.0})
    records[4]["status"] = "diverged"
    study = synthetic.make_ablation_study(("bare", "transfer", "=evil <b>"))
    return write_report(synthetic.write_run(tmp_path_factory.mktemp("runs") / "kt", study, records))


def test_the_page_shows_verdicts_figures_and_tasks_and_nothing_of_a_search(report):
    text = report.read_text(encoding="utf-8")
    place = importlib.util.spec_from_file_location("page_tests", Path(__file__).with_name("test_page.py"))
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    elements = module.Elements(text)
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert elements.open == [] and len(ids) == len(set(ids)) and "http" not in text
    assert text.index("is better than") < text.index("24 trials: 23 complete, 1 diverged.") < text.index("The verdicts")
    for phrase in ("Declared before the runs", "Task by task, as exploration", "what the student learns from labels"):
        assert phrase in text
    for phrase in ("The front", "Importance", "hypervolume", "<b>", "most accurate"):
        assert phrase not in text.replace("the most accurate configuration", "")
    assert {"contrast-wide-title", "contrast-narrow-title", "task-contrast-wide-title"} <= set(ids)
    assert "front-wide-title" not in ids, "all arms train one encoder: latency cannot differ"


def test_contrasts_lie_beside_the_page_in_full(report):
    tables, figures = report.parent / "tables", report.parent / "figures"
    assert not (tables / "front.csv").exists() and (figures / "contrast.png").exists()
    rows = json.loads((tables / "contrasts.json").read_text())
    assert len(rows) == 12 and [row["verdict"] for row in rows[:3]] == ["better", rows[1]["verdict"], None]
    assert rows[0]["num_pairs"] == len(rows[0]["differences"]) == 7 and rows[0]["num_lost"] == 1
    assert rows[0]["lost"] == [{"seed": 1, "arm": "transfer", "reason": "diverged"}] and rows[0]["margin"] == 1.0
    assert rows[0]["low"] < rows[0]["mean"] < rows[0]["high"]
    with open(tables / "contrasts.csv", newline="") as stream:
        listed = list(csv.DictReader(stream))
    assert listed[1]["arm"] == "'=evil <b>" and float(listed[0]["mean"]) == rows[0]["mean"]
    assert {row["configuration"] for row in json.loads((tables / "tasks.json").read_text())} == {
        "bare", "transfer", "=evil <b>",
    }  # fmt: skip


def test_the_terminal_gets_one_row_per_arm(report, search_run):
    head, first, second = summary_rows(report.parent)
    assert head[-1] == "verdict" and first[0] == "transfer against bare" and first[-1] == "better"
    assert first[4:6] == ("7", "1") and second[0] == "=evil <b> against bare"
    assert {len(row) for row in (head, first, second)} == {8}
    assert summary_rows(search_run)[0][1] == "accuracy"


def test_the_terminal_gets_a_sentence_where_every_latency_session_was_refused(synthetic, tmp_path):
    records = synthetic.make_search(3)
    for record in records:
        record["measurements"] = [one for one in record["measurements"] if "latency" not in one["metric"]]
    run = synthetic.write_run(tmp_path / "run", synthetic.make_study(), records)
    assert summary_rows(run) == [("No trial has both an accuracy and a latency, so there is no front to show.",)]


def test_arms_that_differ_in_their_encoder_are_drawn_against_latency(synthetic, tmp_path):
    records = synthetic.make_ablation({"bare": 0.0, "transfer": 2.2}, 6)
    for record in records[1::2]:
        record["spec"]["student"] = synthetic.make_spec(8)["student"]
    text = write_report(synthetic.write_run(tmp_path, synthetic.make_ablation_study(num_seeds=6), records)).read_text()
    assert "front-wide-title" in text and "The front" not in text
