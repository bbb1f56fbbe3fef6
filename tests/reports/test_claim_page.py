"""The page, the tables and the terminal of a study with claims."""

import csv
import importlib.util
import json
from pathlib import Path

import pytest

from reports.contrast import contrasts
from reports.figures.claims import claims_info, draw_claims
from reports.figures.style import to_svg
from reports.page import write_report
from reports.reading import read_run
from reports.summary import summary_rows
from reports.verdict import verdicts
from search.claim import beats

EVIL = "=evil <script>alert(1)</script>"
BASE = [70.0, 60, 65, 71, 68, 66, 69, 64]


@pytest.fixture(scope="module")
def run(synthetic, claimed, tmp_path_factory):
    """Three claims, one of them named by someone hostile, and a diverged run."""
    up, mixed = [2.0, 1.5, 3.0, 5.0, 4.0, 6.0, 2.5, 3.5], [2.0, -1.0, 2.5, -0.5, 1.0, 3.0, -1.5, 1.8]
    arms = {
        "bare": BASE,
        "transfer": [base + effect for base, effect in zip(BASE, up, strict=True)],
        "third": [base + effect for base, effect in zip(BASE, mixed, strict=True)],
    }
    arms["transfer"][3] = None
    claims = [
        claimed.make_claim("transfer-helps", beats("transfer", "bare")),
        claimed.make_claim(EVIL, beats("third", "bare")),
        claimed.make_claim("third-is-less", beats("bare", "third"), beats("third", "transfer")),
    ]
    study = claimed.make_study(synthetic, claims, arms, 8)
    folder = synthetic.write_run(tmp_path_factory.mktemp("runs") / "kt", study, claimed.make_records(synthetic, arms))
    write_report(folder)
    return folder


def test_the_claims_come_first_and_the_arms_are_exploration(run):
    text = (run / "index.html").read_text(encoding="utf-8")
    place = importlib.util.spec_from_file_location("page_tests", Path(__file__).with_name("test_page.py"))
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    elements = module.Elements(text)
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert elements.open == [] and len(ids) == len(set(ids)) and "http" not in text
    assert "script" not in {tag for tag, _ in elements.found} and "&lt;script&gt;" in text
    order = ["Reproduced", "24 trials: 23 complete", "The claims", "How verdicts are reached", "as exploration"]
    assert [text.index(phrase) for phrase in order] == sorted(text.index(phrase) for phrase in order)
    for phrase in ("transfer diverged at seed 3", "The parts of claims that have several", "claims above", "98.33 %"):
        assert phrase in text
    assert {"claims-wide-title", "claims-narrow-title"} <= set(ids) and (run / "figures" / "claims.png").exists()
    assert "cannot be told yet" not in text and "The verdicts" not in text


def test_arms_have_no_second_family_of_verdicts(run):
    found = read_run(run)
    assert all(one.verdict is None and one.p_holm is None for one in contrasts(found.records, found.study))
    rows = json.loads((run / "tables" / "contrasts.json").read_text())
    assert rows and {row["verdict"] for row in rows} == {None}


def test_claims_lie_beside_the_page_as_csv_and_json(run):
    rows = json.loads((run / "tables" / "claims.json").read_text())
    assert [row["verdict"] for row in rows] == ["reproduced", "inconclusive", "inconclusive"]
    assert rows[0]["lost"] == [{"block": 3, "arm": "transfer", "reason": "diverged"}] and rows[0]["n"] == 7
    assert rows[1]["more"] is not None and rows[1]["forecast"] == f"about {rows[1]['more']} more seeds"
    parts = json.loads((run / "tables" / "claim-parts.json").read_text())
    evil = parts[1]["claim"]  # as every text of a study: without what looks like a place on a disk
    assert evil.startswith("=evil <script>alert(1)<")
    assert [part["claim"] for part in parts] == ["transfer-helps", evil, "third-is-less", "third-is-less"]
    with open(run / "tables" / "claims.csv", newline="") as stream:
        listed = list(csv.DictReader(stream))
    assert listed[1]["claim"] == f"'{evil}" and float(listed[0]["effect"]) == rows[0]["effect"]


def test_the_terminal_names_each_verdict(run):
    head, first, second, _ = summary_rows(run)
    assert head == ("claim", "effect", "interval", "margin", "p", "n", "lost", "verdict")
    assert first[0] == "transfer-helps" and first[5:] == ("7", "1", "reproduced")
    assert second[-1].startswith("inconclusive (about ")


@pytest.mark.parametrize("narrow", [False, True])
def test_the_figure_draws_every_claim_with_its_verdict_the_same_each_time(run, narrow):
    panels = claims_info(verdicts(read_run(run)))
    assert [panel.unit for panel in panels] == ["points"] and len(panels[0].rows) == 3
    text = to_svg(draw_claims(panels, narrow=narrow), "c", "t", "d")
    assert "reproduced, 1 lost" in text and "inconclusive" in text and "transfer-helps" in text
    assert "<script>" not in text and text == to_svg(draw_claims(panels, narrow=narrow), "c", "t", "d")


def test_each_unit_has_a_scale_of_its_own_and_too_few_blocks_no_interval(synthetic, claimed, tmp_path):
    claims = [
        claimed.make_claim("better", beats("transfer", "bare")),
        claimed.make_claim("faster", beats("bare", "transfer", "latency_ratio"), blocks="sessions", margin=0.02),
    ]
    arms = {"bare": [70.0, 71.0], "transfer": [72.0, 74.0]}
    study = claimed.make_study(synthetic, claims, arms, 2, latency_sessions=8)
    folder = synthetic.write_run(tmp_path / "run", study, claimed.make_records(synthetic, arms))
    claimed.write_sessions(folder, {"bare": [1.0] * 8, "transfer": [0.9] * 8})
    found = verdicts(read_run(folder))
    assert [one.outcome for one in found] == ["inconclusive", "reproduced"]
    panels = claims_info(found)
    assert [panel.unit for panel in panels] == ["points", "x reference"]
    assert panels[0].rows[0].interval is None
    text = write_report(folder).read_text(encoding="utf-8")
    assert "no finite 95 % interval" in text and "Too few pairs for any verdict" in text


def test_an_empty_run_with_claims_says_what_is_missing(synthetic, claimed, tmp_path):
    study = claimed.make_study(synthetic, [claimed.make_claim("better", beats("b", "a"))], ("a", "b"), 8)
    text = write_report(synthetic.write_run(tmp_path / "run", study, [])).read_text(encoding="utf-8")
    assert "No seed has a value in every arm." in text and "This run has no trials yet." in text
    assert "No verdict before the run is finished: 16 trials." in text and "claims-wide" not in text
