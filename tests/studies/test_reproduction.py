"""`thinbert reproduce`: what is planned, what is refused, and studies that train what they share once."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from search.fingerprint import fingerprint
from search.study import Ablation, Arm, Study, plan
from search.trial import TrialSpec
from studies import catalogue
from studies.catalogue import load_study
from studies.data_specs import known_data_spec
from studies.reproduction import PAPERS_STUDIES, check_time, reproduction, reproduction_rows
from studies.scales import sources


def tiny_module() -> ModuleType:
    path = Path(__file__).parents[1] / "search" / "tiny_study.py"
    place = importlib.util.spec_from_file_location("tiny_study", path)
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture
def two_studies(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Two tiny studies of one seed that share all arms but one, the teacher itself."""
    tiny = tiny_module()

    def first(scale: Any, data: Any) -> Ablation:
        return replace(tiny.tiny_ablation(data), name="first", seeds=(0,))

    def second(scale: Any, data: Any) -> Ablation:
        study = first(scale, data)
        teacher = study.arms[1].spec.teacher
        assert isinstance(teacher, TrialSpec)
        return replace(study, name="second", arms=(*study.arms, Arm(name="teacher", because="itself", spec=teacher)))

    for name, declare in (("first", first), ("second", second)):
        study = Study(name=name, question="Is it shared?", sources=lambda scale: tiny.SOURCES, declare=declare)
        monkeypatch.setitem(sys.modules, f"tiny_{name}", SimpleNamespace(STUDY=study))  # type: ignore[arg-type]
        monkeypatch.setitem(catalogue.MODULES, name, f"tiny_{name}")
    yield "first", "second"


def test_the_papers_studies_are_planned_once_per_distinct_trial_and_fit_two_hours_of_two_cores(tmp_path: Path) -> None:
    data = known_data_spec(sources("cpu"), tmp_path)
    planned = reproduction("cpu", data)
    every = {
        fingerprint(one.spec)
        for name in PAPERS_STUDIES
        for one in plan(load_study(name).declare("cpu", data))  # type: ignore[arg-type]
    }
    assert {mark for part in planned.parts for mark in part.new} == every and len(
        every
    ) == 25 * 8  # the teacher is one of the arms
    assert [part.study.name for part in planned.parts] == list(PAPERS_STUDIES)
    assert sum(len(part.new) for part in planned.parts) == len(every)
    check_time(planned, 2)
    rows = reproduction_rows(planned, 2)
    assert rows[-2][:4] == ("in all", "25 distinct", "248", "200")


def test_a_plan_of_more_than_two_hours_is_refused(tmp_path: Path) -> None:
    planned = reproduction("cpu", known_data_spec(sources("cpu"), tmp_path))
    message = r"^a reproduction must be trained within 2 h 0 min, got \d+ h \d+ min at scale cpu with 1 workers;"
    with pytest.raises(ValueError, match=message):
        check_time(planned, 1)


def test_a_search_is_no_part_of_a_reproduction(tmp_path: Path) -> None:
    message = "a reproduction is of studies that compare planned arms, got student-search, which searches"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        reproduction("cpu", known_data_spec(sources("cpu"), tmp_path), ["student-search"])


def test_shared_trials_are_trained_once_and_the_same_command_again_trains_nothing(
    two_studies: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from studies.reproduce import reproduce

    runs, book = tmp_path / "runs", tmp_path / "book"
    assert reproduce("smoke", runs, book, workers=1, names=two_studies, plan_only=True) == 0
    assert not (runs / "first-smoke").exists() and "in all" in capsys.readouterr().out
    assert reproduce("smoke", runs, book, workers=1, names=two_studies) == 0
    said = capsys.readouterr()
    assert "3 of 3 trials were trained by other runs here and are taken over" in said.err
    assert {path.parent.name for path in runs.glob("*/study.json")} == {"first-smoke", "second-smoke"}
    assert len(list(book.rglob("*.html"))) >= 2
    before = {path: path.read_bytes() for path in runs.glob("*/trials/*.json")}
    assert reproduce("smoke", runs, book, workers=1, names=two_studies) == 0
    assert {path: path.read_bytes() for path in runs.glob("*/trials/*.json")} == before and len(before) == 5
