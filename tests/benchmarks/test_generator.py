"""The generator benchmark: its table, its goals and its floors; the teachers here are stand-ins that train nothing."""

import json
from typing import Any

import pytest

from benchmarks import generator

TASKS = ("acceptability", "sentiment", "entailment", "answering", "similarity")


@pytest.fixture
def teachers(monkeypatch: pytest.MonkeyPatch) -> None:
    def floors() -> list[dict[str, Any]]:
        classes = {"majority": 50.0, "bag_of_words": 52.0}
        spans = {"majority": None, "bag_of_words": None}
        return [
            {"task": name, "kind": "", "metric": "accuracy"} | (classes if index < 3 else spans)
            for index, name in enumerate(TASKS)
        ]

    def train(scale: str, seed: int) -> dict[str, Any]:
        scores = dict.fromkeys(TASKS, 70.0 if scale == "smoke" else 80.0)
        return {"scores": scores, "train_seconds": 20.0, "wall_seconds": 30.0}

    monkeypatch.setattr(generator, "floors", floors)
    monkeypatch.setattr(generator, "train_teacher", train)


@pytest.mark.usefixtures("teachers")
def test_the_table_has_every_task_teacher_and_goal(capsys: pytest.CaptureFixture[str]) -> None:
    assert generator.main([]) == 0
    printed = capsys.readouterr().out
    for text in (*TASKS, "majority", "bag of words", "smoke teacher", "cpu teacher", "processor time", "torch"):
        assert text in printed
    assert printed.count("met ") == 4 and "MISSED" not in printed


@pytest.mark.usefixtures("teachers")
def test_json_is_one_document_with_goals(capsys: pytest.CaptureFixture[str]) -> None:
    assert generator.main(["--json", "--scales", "smoke"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["task"] for row in document["tasks"]] == list(TASKS)
    assert list(document["teachers"]) == ["smoke"] and len(document["goals"]) == 2


def test_a_goal_that_is_missed_says_so() -> None:
    rows = [{"task": name, "majority": 50.0, "bag_of_words": 70.0} for name in TASKS]
    scores = dict.fromkeys(TASKS, 99.0)
    late = {"scores": scores, "train_seconds": 1.0, "wall_seconds": 301.0}
    assert [one["met"] for one in generator.goals(rows, {"cpu": late})] == [False] * 4
