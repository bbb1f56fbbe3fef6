"""The benchmark of what a trial costs: which arms it has, and what its table says."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import trial_cost
from search.fingerprint import fingerprint
from search.record import Measurement, TrialRecord
from studies.data_specs import known_data_spec
from studies.reproduction import Reproduction, reproduction
from studies.scales import sources

SEED = 3


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    return reproduction("cpu", known_data_spec(sources("cpu"), tmp_path_factory.mktemp("data")))


def records(planned: Reproduction, seconds: float, **fields: Any) -> dict[str, TrialRecord]:
    def record(spec: Any) -> TrialRecord:
        took = (Measurement(metric="train_seconds", value=seconds, unit="s", n=1, conditions={}),)
        made = {"status": "complete", "reason": "", "measurements": took, "curves": (), "provenance": {}, **fields}
        return TrialRecord(fingerprint=fingerprint(spec), role="arm", spec=spec, **made)

    return {fingerprint(spec): record(spec) for _, _, spec in trial_cost.arms(planned, SEED)}


def test_every_distinct_arm_is_there_once_at_the_seed_asked_for(planned: Reproduction) -> None:
    found = trial_cost.arms(planned, SEED)
    marks = {fingerprint(arm.spec) for part in planned.parts for arm in part.study.arms}
    assert len(found) == len({fingerprint(spec) for _, _, spec in found}) == len(marks)
    assert {spec.seed for _, _, spec in found} == {SEED}
    assert found[0][:2] == (planned.parts[0].study.name, planned.parts[0].study.arms[0].name)


@pytest.mark.parametrize(("seconds", "word"), [(60.0, "met"), (60.1, "MISSED")])
def test_the_table_has_a_line_for_each_arm_and_holds_the_mean_against_the_goal(
    planned: Reproduction, seconds: float, word: str
) -> None:
    found = trial_cost.rows(planned, records(planned, seconds), SEED)
    lines = trial_cost.table(found, 30.0 * len(found)).splitlines()
    assert len(lines) == len(found) + 2
    assert lines[-2].endswith("0.50 of it predicted")
    assert lines[-1] == f"{seconds:.1f} s a trial, the teacher among them, goal 60 s: {word}"


def test_a_trial_that_did_not_end_as_it_should_is_no_cost(planned: Reproduction) -> None:
    lost = records(planned, 1.0, status="diverged", reason="the loss became nan")
    with pytest.raises(ValueError, match=r"every arm must be trained, got .* diverged \(the loss became nan\)"):
        trial_cost.rows(planned, lost, SEED)


def test_no_workers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        trial_cost.main(["--out", str(tmp_path), "--workers", "0"])
    assert "--workers must be at least 1, got 0" in capsys.readouterr().err
