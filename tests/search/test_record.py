"""Trial files: whole, checked against their spec, and moved aside when they are not what they say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from search.record import (
    Proposal,
    read_record,
    read_records,
    set_aside,
    with_proposals,
    write_record,
)


def proposal(number: int) -> Proposal:
    return Proposal(number=number, generation=0, params={"num_heads": 2}, distributions={"num_heads": "{}"})


def kept(folder: Path, record: Any) -> Path:
    path = folder / "trials" / f"{record.fingerprint}.json"
    write_record(path, record)
    return path


def test_a_record_is_read_as_it_was_written(tmp_path: Path, make_spec: Any, make_record: Any) -> None:
    records = [make_record(make_spec(seed=seed), trials=(proposal(seed),)) for seed in range(3)]
    paths = [kept(tmp_path, record) for record in records]
    assert [read_record(path) for path in paths] == records
    assert read_records(tmp_path) == ({record.fingerprint: record for record in records}, ())


def test_a_metric_that_was_not_measured_has_no_value(make_spec: Any, make_record: Any) -> None:
    record = make_record(make_spec(), accuracy=None)
    assert record.value("validation/accuracy") is None
    assert record.value("latency_ratio") == 0.5


def test_records_specs_and_recipes_have_a_short_form_in_a_notebook(make_spec: Any, make_record: Any) -> None:
    reason = "<script>alert(1)</script>"
    record = make_record(make_spec(seed=3), reason=reason)
    html = record._repr_html_()
    assert "seed 3" in html and '<th scope="row">latency_ratio</th><td>0.5</td>' in html
    assert "&lt;script&gt;" in html and "<script>" not in html
    spec = record.spec._repr_html_()
    assert record.fingerprint in spec and '<th scope="row">seed</th><td>3</td>' in spec
    steps = f'<th scope="row">pre_training.steps</th><td>{record.spec.recipe.pre_training.steps}</td>'
    assert steps in record.spec.recipe._repr_html_() and "recipe.pre_training.steps" in spec


def test_a_number_that_is_not_finite_is_never_written(tmp_path: Path, make_spec: Any, make_record: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        kept(tmp_path, make_record(make_spec(), accuracy=float("nan")))
    assert not list(tmp_path.rglob("*.json"))


def test_a_record_of_another_spec_or_schema_is_refused(make_spec: Any, make_record: Any) -> None:
    with pytest.raises(ValueError, match="fingerprint must be that of the spec, got 0123456789abcdef for a spec of"):
        make_record(make_spec(), fingerprint="0123456789abcdef")
    with pytest.raises(ValueError, match="schema must be 1, got 2; this record is of another version"):
        make_record(make_spec(), schema=2)


def damage_of_seed(document: dict[str, Any]) -> None:
    document["spec"]["seed"] = 9


def damage_of_status(document: dict[str, Any]) -> None:
    document["status"] = "done"


def damage_of_conditions(document: dict[str, Any]) -> None:
    document["measurements"][0]["conditions"] = [1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_of_seed, "fingerprint must be that of the spec"),
        (damage_of_status, "status must be one of complete, diverged, failed, got 'done'"),
        (damage_of_conditions, "conditions must be a JSON object, got [1]"),
    ],
)
def test_an_altered_trial_file_is_named_and_moved_aside(
    tmp_path: Path, make_spec: Any, make_record: Any, damage: Any, message: str
) -> None:
    good, bad = (kept(tmp_path, make_record(make_spec(seed=seed))) for seed in (0, 1))
    document = json.loads(bad.read_text())
    damage(document)
    bad.write_text(json.dumps(document))
    looked = read_records(tmp_path)
    assert set(looked.records) == {good.stem} and bad.exists()
    assert len(looked.problems) == 1 and message in looked.problems[0]
    moved = read_records(tmp_path, quarantine=True)
    assert moved.problems[0].endswith(f"; moved to quarantine/{bad.name}")
    assert not bad.exists() and (tmp_path / "quarantine" / bad.name).exists()
    assert read_records(tmp_path).problems == ()


@pytest.mark.parametrize("length", [0, 1, 40, 500, -2])
def test_a_cut_trial_file_is_named(tmp_path: Path, make_spec: Any, make_record: Any, length: int) -> None:
    path = kept(tmp_path, make_record(make_spec()))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=re.escape(path.name)):
        read_record(path)
    assert path.name in read_records(tmp_path).problems[0]


def test_a_trial_file_under_another_name_is_refused(tmp_path: Path, make_spec: Any, make_record: Any) -> None:
    path = kept(tmp_path, make_record(make_spec()))
    wrong = path.rename(path.with_name("0000000000000000.json"))
    assert read_records(tmp_path).problems == (f"trial file {wrong.name} holds the trial {path.stem}",)


def test_what_is_set_aside_never_overwrites(tmp_path: Path) -> None:
    for content in ("first", "second", "third"):
        path = tmp_path / "trials" / "a.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        set_aside(tmp_path, path)
    names = sorted(path.name for path in (tmp_path / "quarantine").iterdir())
    assert names == ["a.json", "a.json.1", "a.json.2"]
    assert (tmp_path / "quarantine" / "a.json").read_text() == "first"


def test_proposals_are_added_once_and_in_order(make_spec: Any, make_record: Any) -> None:
    record = make_record(make_spec(), trials=(proposal(4),))
    found = with_proposals(record, (proposal(7), proposal(1), proposal(4)))
    assert [one.number for one in found.trials] == [1, 4, 7]
    assert with_proposals(found, (proposal(7),)) == found
