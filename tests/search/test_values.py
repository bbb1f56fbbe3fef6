"""Every value survives the way to JSON and back, and a document that is none says which field is wrong."""

import dataclasses
import json
import re
from typing import Any, Literal

import pytest

from search.data.source import DataSources, TaskFile
from search.latency.case import LatencyCase
from search.recipe import KnowledgeTransfer, Optimizer
from search.record import Measurement, Proposal, TrialRecord
from search.study import Scaling
from search.trial import TrialSpec
from search.values import from_json, to_json


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    size: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    part: Part
    rate: float = 0.5
    flag: bool = True
    name: str = "x"
    kind: Literal["a", "b"] = "a"
    maybe: int | None = None
    parts: tuple[Part, ...] = ()
    couple: tuple[int, str] = (1, "one")
    table: dict[str, Any] = dataclasses.field(default_factory=dict)


def there_and_back(value: Any) -> Any:
    return from_json(type(value), json.loads(json.dumps(to_json(value), allow_nan=False)))


@pytest.mark.parametrize(
    "value",
    [
        Part(size=3),
        Whole(
            part=Part(size=1),
            rate=2.0,
            flag=False,
            kind="b",
            maybe=4,
            parts=(Part(size=2), Part(size=3)),
            couple=(5, "five"),
            table={"a": {"b": [1, None]}},
        ),
        Optimizer(kind="lamb", learning_rate=1e-3, final_share=1.0),
        KnowledgeTransfer(steps=4, batch_size=2, optimizer=Optimizer(learning_rate=1.0)),
        LatencyCase(batch=4, length=32),
        Scaling(what="blocks", paper="24", here="3"),
        Measurement(metric="accuracy", value=71.0, unit="%", n=5, conditions={"split": "test"}),
        Proposal(number=3, generation=1, params={"num_heads": 4}, distributions={"num_heads": "{}"}, arm=None),
        DataSources(task_files=(TaskFile(path="a.csv", name="a", text="t", label="l", metric="f1"),)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_survives_the_way_to_json_and_back(value: Any) -> None:
    assert there_and_back(value) == value


@pytest.mark.parametrize("with_teacher", [False, True])
def test_a_trial_spec_survives_with_and_without_its_teacher(make_spec: Any, with_teacher: bool) -> None:
    spec = make_spec(with_teacher=with_teacher)
    found = there_and_back(spec)
    assert found == spec and type(found.teacher) is (TrialSpec if with_teacher else type(None))


def test_a_record_survives_with_everything_in_it(make_spec: Any, make_record: Any) -> None:
    proposals = tuple(
        Proposal(number=number, generation=0, params={"a": number, "b": None}, distributions={"a": "{}"}, arm="x")
        for number in (2, 5)
    )
    record = make_record(make_spec(with_teacher=True), trials=proposals, reason="because")
    assert there_and_back(record) == record
    assert isinstance(there_and_back(record), TrialRecord)


def test_every_field_is_written_defaults_too(make_spec: Any) -> None:
    written = to_json(make_spec())
    assert written["teacher"] is None
    assert set(written["student"]) == {field.name for field in dataclasses.fields(make_spec().student)}
    assert written["recipe"]["pre_training"]["optimizer"]["clip_norm"] == 1.0


def test_a_field_that_is_left_out_takes_its_default() -> None:
    assert from_json(Whole, {"part": {"size": 1}}) == Whole(part=Part(size=1))


def test_a_whole_number_becomes_a_float_where_one_is_meant() -> None:
    found = from_json(Whole, {"part": {"size": 1}, "rate": 2})
    assert found.rate == 2.0 and type(found.rate) is float


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "Whole must be a JSON object, got []"),
        ({}, "Whole lacks the field 'part'; required are part"),
        (
            {"part": {"size": 1}, "colour": 3},
            "Whole has no field 'colour'; its fields are part, rate, flag, name, kind, maybe, parts, couple, table",
        ),
        ({"part": 3}, "Whole: part must be a JSON object, got 3"),
        ({"part": {}}, "Whole: part lacks the field 'size'; required are size"),
        ({"part": {"size": 1.5}}, "Whole: part: size must be a whole number, got 1.5"),
        ({"part": {"size": True}}, "Whole: part: size must be a whole number, got True"),
        ({"part": {"size": None}}, "Whole: part: size must be a whole number, got None"),
        ({"part": {"size": 1}, "rate": "fast"}, "Whole: rate must be a number, got 'fast'"),
        ({"part": {"size": 1}, "rate": False}, "Whole: rate must be a number, got False"),
        ({"part": {"size": 1}, "flag": 1}, "Whole: flag must be a bool, got 1"),
        ({"part": {"size": 1}, "name": None}, "Whole: name must be a str, got None"),
        ({"part": {"size": 1}, "kind": "c"}, "Whole: kind must be one of a, b, got 'c'"),
        ({"part": {"size": 1}, "maybe": "4"}, "Whole: maybe must be a whole number, got '4'"),
        ({"part": {"size": 1}, "parts": {"size": 1}}, "Whole: parts must be a list, got {'size': 1}"),
        ({"part": {"size": 1}, "parts": [{"size": "1"}]}, "Whole: parts: size must be a whole number, got '1'"),
        ({"part": {"size": 1}, "couple": [1]}, "Whole: couple must be a list of 2, got [1]"),
        ({"part": {"size": 1}, "table": [1]}, "Whole: table must be a JSON object, got [1]"),
    ],
)
def test_a_document_that_is_no_value_names_the_field_and_what_it_got(document: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        from_json(Whole, document)


def test_the_place_is_named_where_one_is_given() -> None:
    with pytest.raises(ValueError, match=r"^trial file a\.json: part must be a JSON object"):
        from_json(Whole, {"part": 3}, place="trial file a.json")


def test_a_long_wrong_value_is_cut() -> None:
    with pytest.raises(ValueError) as caught:
        from_json(Whole, {"part": "y" * 500})
    assert len(str(caught.value)) < 120


def test_the_checks_of_the_value_itself_hold(make_spec: Any) -> None:
    written = to_json(make_spec())
    written["student"]["num_heads"] = 3
    with pytest.raises(ValueError, match="num_heads must divide bottleneck_size"):
        from_json(TrialSpec, written)


def test_a_part_that_was_read_before_is_checked_all_the_same() -> None:
    whole = from_json(Whole, {"part": {"size": 1}})
    assert from_json(Whole, {"part": {"size": 1}}) == whole
    for odd in (True, 1.0, "1"):  # equal to 1 for Python, or nearly
        for place in ("one.json", "other.json"):
            with pytest.raises(ValueError, match=f"^{place}: part: size must be a whole number, got {odd!r}$"):
                from_json(Whole, {"part": {"size": odd}}, place)
