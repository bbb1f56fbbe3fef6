"""The one reader of RUN/latency/: what is kept, what claims pair by, what was refused, and why a file is unusable."""

import json
from pathlib import Path
from typing import Any

import pytest

from reports.sessions import Session, Sessions, read_sessions

CONTENT = {
    "reference": {"forward_ns": [2e6, 4e6, 4e6]},
    "candidates": [{"name": "small", "series": {"forward_ns": [1e6, 1e6, 3e6]}}],
    "case": {"batch": 1},
    "conditions": {"machine": "a processor"},
}
KEPT = Session(
    reference=(2e6, 4e6, 4e6),
    samples={"small": (1e6, 1e6, 3e6)},
    case={"batch": 1},
    conditions={"machine": "a processor"},
)
ANEW = "; the same run again measures it anew"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write a file of latency/, given as text or as a document."""

    def written(name: str, content: Any) -> Path:
        (tmp_path / "latency").mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "latency" / name).write_text(text)
        return tmp_path

    return written


def test_a_run_without_sessions_has_none(tmp_path: Path) -> None:
    assert read_sessions(tmp_path) == Sessions()


def test_the_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    assert KEPT.medians() == {"small": {"latency_ratio": 0.5, "latency_ms": 1.0}}


def test_every_session_is_kept_and_claims_pair_by_the_measuring_sessions_alone(write: Any) -> None:
    write("session-01.json", {"session": {**CONTENT, "case": {"batch": 2}}})
    write("session-02.json", {"session": None, "refused": ["the control is wide"]})
    write("generation-0000.json", {"session": CONTENT})
    write("generation-0001.json", {"session": {**CONTENT, "case": {"batch": 3}}})
    found = read_sessions(write("front.json", {**CONTENT, "case": {"batch": 4}}))
    assert [one.case["batch"] for one in found.kept] == [1, 3, 2, 4] and found.kept[0] == KEPT
    assert found.blocks == (KEPT.medians(), KEPT.medians(), None)
    assert (found.num_refused, found.problems) == (1, ())


def test_a_generation_that_measured_nothing_new_was_not_refused(write: Any) -> None:
    found = read_sessions(write("generation-0001.json", {"session": None, "refused": []}))
    assert found == Sessions()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", f"is not JSON but damaged{ANEW}"),
        ("[]", f"holds no latency session (something is not of its form){ANEW}"),
        ({}, f"holds no latency session ('session' is missing){ANEW}"),
        ({"session": {"reference": {}}}, f"holds no latency session ('forward_ns' is missing){ANEW}"),
        (
            {"session": {**CONTENT, "reference": {"forward_ns": [1.0, 2.0]}}},
            f"holds no latency session (every series needs a sample per round){ANEW}",
        ),
        (
            {"session": {**CONTENT, "reference": {"forward_ns": [1.0, 0.0, 2.0]}}},
            f"holds no latency session (samples must be above 0 and finite){ANEW}",
        ),
        (
            {"schema": 2, "session": CONTENT},
            "is a latency session of schema 2, newer than the 1 that this version reads; update thinbert",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason_and_counts_nowhere(
    write: Any, content: Any, why: str
) -> None:
    assert read_sessions(write("session-01.json", content)) == Sessions(problems=(f"latency/session-01.json: {why}",))


def test_what_a_damaged_last_session_measured_is_in_the_trials(write: Any) -> None:
    found = read_sessions(write("front.json", "{"))
    assert found.problems == ("latency/front.json: is not JSON but damaged; the trials keep what it measured",)


def test_a_file_that_the_system_does_not_give_is_named(write: Any, tmp_path: Path) -> None:
    (write("session-02.json", {"session": CONTENT}) / "latency" / "session-01.json").mkdir()
    found = read_sessions(tmp_path)
    assert found.problems == ("latency/session-01.json: cannot be read (Is a directory)",) and len(found.kept) == 1
