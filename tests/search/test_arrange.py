"""Which trials look ahead and which keep their teacher's outputs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search import arrange as arrange_module
from search.arrange import arrange, drop_outputs_of, dropping
from search.fingerprint import fingerprint
from search.machine import cores
from search.record import TrialRecord
from search.trial import TrialSpec
from search.worker import Home, Job
from studies.data_specs import known_data_spec
from studies.scales import sources, student_trial


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return student_trial("cpu", known_data_spec(sources("cpu"), tmp_path), 0, average_heads=True)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "run", tmp_path / "data", tmp_path / "teachers")


def job(spec: TrialSpec, home: Home, **fields: Any) -> Job:
    return Job(spec=spec, role="arm", home=home, **fields)


def bare(spec: TrialSpec) -> TrialSpec:
    recipe = replace(
        spec.recipe, knowledge_transfer=None, pre_training=replace(spec.recipe.pre_training, teacher_share=0.0)
    )
    return replace(spec, recipe=recipe)


def other(spec: TrialSpec) -> TrialSpec:
    return replace(spec, student=replace(spec.student, num_feed_forward=2))


@pytest.mark.parametrize(("workers", "expected"), [(1, True), (2, True), (3, False), (4, False)])
def test_a_worker_looks_ahead_where_it_has_a_second_core(
    spec: TrialSpec, home: Home, monkeypatch: pytest.MonkeyPatch, workers: int, expected: bool
) -> None:
    monkeypatch.setattr(arrange_module, "cores", lambda: 4)
    (found,) = arrange([job(spec, home)], workers=workers, search=False)
    assert found.acceleration.lookahead is expected


def test_outputs_are_kept_where_two_trials_of_the_list_listen_to_one_teacher(spec: TrialSpec, home: Home) -> None:
    assert spec.teacher is not None
    folder = home.teachers / fingerprint(spec.teacher) / "outputs"
    elsewhere = student_trial("cpu", spec.data, 1, average_heads=True)
    kept = [one.acceleration.outputs for one in arrange([job(spec, home)], workers=2, search=False)]
    assert kept == [None]
    jobs = [job(one, home) for one in (spec, bare(spec), other(spec), elsewhere, spec.teacher)]
    kept = [one.acceleration.outputs for one in arrange(jobs, workers=2, search=False)]
    assert kept == [folder, None, folder, None, None]


def test_in_a_search_more_trials_are_to_come(spec: TrialSpec, home: Home) -> None:
    (found,) = arrange([job(spec, home)], workers=2, search=True)
    assert found.acceleration.outputs is not None


def test_a_gpu_neither_looks_ahead_nor_keeps(spec: TrialSpec, home: Home) -> None:
    jobs = [job(spec, home, device="cuda"), job(other(spec), home, device="cuda")]
    for found in arrange(jobs, workers=1, search=True):
        assert (found.acceleration.lookahead, found.acceleration.outputs) == (False, None)


def test_outputs_go_as_soon_as_no_trial_of_the_list_needs_them(spec: TrialSpec, home: Home) -> None:
    jobs = arrange([job(one, home) for one in (spec, other(spec), bare(spec))], workers=2, search=False)
    folder = jobs[0].acceleration.outputs
    assert folder is not None
    folder.mkdir(parents=True)
    (folder / "a.safetensors").write_bytes(b"x")
    there = []
    for _ in dropping(jobs, (_record(one) for one in jobs)):
        there.append(folder.exists())
    assert there == [True, False, False]


def test_outputs_of_a_finished_search_are_dropped(spec: TrialSpec, home: Home) -> None:
    assert spec.teacher is not None
    folder = home.teachers / fingerprint(spec.teacher) / "outputs"
    folder.mkdir(parents=True)
    (folder / "a.safetensors").write_bytes(b"x")
    (folder.parent / "record.json").write_bytes(b"{}")
    drop_outputs_of([spec.teacher], home)
    assert [path.name for path in folder.parent.iterdir()] == ["record.json"]


def test_there_is_a_core() -> None:
    assert cores() >= 1


def _record(job: Job) -> TrialRecord:
    return TrialRecord(
        fingerprint=job.fingerprint,
        status="complete",
        reason="",
        role=job.role,
        spec=job.spec,
        measurements=(),
        curves=(),
        provenance={},
        trials=(),
    )
