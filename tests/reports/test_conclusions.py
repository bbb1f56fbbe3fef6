"""The paper's eleven conclusions point at claims that exist, and say no more than these do."""

from pathlib import Path
from typing import Any

from reports.conclusions import CONCLUSIONS, concluded
from reports.reading import read_run
from reports.results import results
from reports.verdict import verdicts
from search.claim import beats
from search.study import Ablation
from studies.catalogue import load_study
from studies.data_specs import known_data_spec
from studies.reproduction import PAPERS_STUDIES


def test_every_claim_of_the_papers_studies_belongs_to_one_conclusion(tmp_path: Path) -> None:
    declared = []
    for name in PAPERS_STUDIES:
        study = load_study(name)
        made = study.declare("cpu", known_data_spec(study.sources("cpu"), tmp_path))
        assert isinstance(made, Ablation)
        declared += [f"{name}/{claim.name}" for claim in made.claims]
    named = [claim for conclusion in CONCLUSIONS for claim in conclusion.claims]
    assert sorted(named) == sorted(declared) and len(set(named)) == len(named)
    assert len(CONCLUSIONS) == 11


def test_a_conclusion_carries_the_verdicts_that_there_are(synthetic: Any, claimed: Any, tmp_path: Path) -> None:
    arms = {"f": [70.0, 71.0, 72.5, 70.5, 69.0, 71.5], "g": [60.0, 62.0, 61.0, 63.5, 60.5, 59.0]}
    claims = [claimed.make_claim("h-intra-must-stay", beats("f", "g")), claimed.make_claim("other", beats("f", "g"))]
    run = synthetic.write_run(
        tmp_path / "run", claimed.make_study(synthetic, claims, arms, 6), claimed.make_records(synthetic, arms)
    )
    judged = verdicts(read_run(run))
    ((number, conclusion, spoken),) = concluded([("teacher-search", one) for one in judged])
    assert number == 2 and conclusion.claims == ("teacher-search/h-intra-must-stay",)
    assert [one.claim.name for one in spoken] == ["h-intra-must-stay"]
    assert concluded([("another", one) for one in judged]) == []


def test_a_forecast_stands_apart_from_its_verdict(synthetic: Any, claimed: Any, tmp_path: Path) -> None:
    arms = {"f": [70.0, 71.0, 72.5, 70.5, 69.0, 71.5], "g": [69.0, 72.0, 71.0, 71.5, 69.5, 70.0]}
    study = claimed.make_study(synthetic, [claimed.make_claim("close", beats("f", "g"))], arms, 6)
    run = synthetic.write_run(tmp_path / "run", study, claimed.make_records(synthetic, arms))
    judged = verdicts(read_run(run))
    assert judged[0].outcome == "inconclusive" and judged[0].forecast
    assert f"**inconclusive** ({judged[0].forecast})" in results([("t", "q", judged)], "a", [])
