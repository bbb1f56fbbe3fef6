"""Which trials are trained as one computation, and a run that does it, in real processes."""

import importlib.util
import os
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from search import execute
from search.record import Measurement, TrialRecord
from search.replica_group import Group, planned_groups
from search.study import at_seed
from search.training.acceleration import Acceleration
from search.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from search.training.products import has_onednn
from search.trial import TrialSpec
from search.worker import Home, Job
from studies.data_specs import known_data_spec
from studies.scales import sources, student_trial

DROPOUT = "dropout, which training on labels has, is drawn for one seed at a time"
TASKS = "dropout, which fine-tuning has, is drawn for one seed at a time"


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return student_trial("cpu", known_data_spec(sources("cpu"), tmp_path), 0, average_heads=True)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "run", tmp_path / "data", tmp_path / "teachers")


def jobs_of(spec: TrialSpec, home: Home, *seeds: int, **fields: Any) -> list[Job]:
    return [Job(spec=at_seed(spec, seed), role="arm", home=home, **fields) for seed in seeds]


def other(spec: TrialSpec) -> TrialSpec:
    return replace(spec, student=replace(spec.encoder, num_feed_forward=2))


def seeds(jobs: list[Job], replicas: int, said: list[str] | None = None) -> list[list[int]]:
    groups = planned_groups(jobs, replicas, [].append if said is None else said.append)
    return [[job.spec.seed for job in group.jobs] for group in groups]


def begun(home: Home, *jobs: Job) -> Path:
    """A checkpoint that a group of these jobs has left."""
    path = home.run / "checkpoints" / f"replicas-{jobs[0].fingerprint}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {"replicas": [job.fingerprint for job in jobs], "seeds": [job.spec.seed for job in jobs]}
    save_checkpoint(path, Checkpoint({"a": torch.zeros(1)}, state))
    return path


def test_seeds_of_an_arm_are_grouped_in_their_order(spec: TrialSpec, home: Home) -> None:
    jobs = [job for seed in range(5) for one in (spec, other(spec)) for job in jobs_of(one, home, seed)]
    assert seeds(jobs, 1) == []
    assert seeds(jobs, 2) == [[0, 1], [2, 3]] * 2
    assert seeds(jobs, 8) == [[0, 1, 2, 3, 4]] * 2
    assert seeds([], 2) == []


def test_a_trial_that_has_come_further_is_in_no_group(spec: TrialSpec, home: Home) -> None:
    jobs = jobs_of(spec, home, 0, 1, 2)
    jobs[0].checkpoint_path.parent.mkdir(parents=True)
    jobs[0].checkpoint_path.touch()
    assert seeds(jobs, 4) == [[1, 2]]


def test_what_cannot_be_stacked_is_trained_alone_and_said(spec: TrialSpec, home: Home) -> None:
    said: list[str] = []
    compiled = jobs_of(spec, home, 0, 1, acceleration=Acceleration(compiled="blocks"))
    assert seeds(compiled, 2, said) == []
    assert said == ["2 trials are trained one seed at a time: compiled blocks have one seed's weights"]


def test_a_group_that_was_begun_goes_on_as_it_was(spec: TrialSpec, home: Home) -> None:
    jobs = jobs_of(spec, home, 0, 1, 2, 3)
    begun(home, jobs[1], jobs[2])
    begun(home, *jobs_of(other(spec), home, 7, 8))
    jobs[1].checkpoint_path.touch()
    assert seeds(jobs, 2) == [[1, 2], [0, 3]]


def test_a_group_that_was_begun_with_others_is_refused(spec: TrialSpec, home: Home) -> None:
    jobs = jobs_of(spec, home, 0, 1, 2)
    path = begun(home, *jobs)
    start = "^a replica group goes on with the trials that it began with, those of seeds 0, 1, 2, got "
    end = f"; run with --replicas 3, or delete checkpoints/{path.name}$"
    for replicas in (1, 2):
        with pytest.raises(ValueError, match=f"{start}--replicas {replicas}{end}"):
            seeds(jobs, replicas)
    with pytest.raises(ValueError, match=f"{start}those of seeds 0, 1{end}"):
        seeds(jobs[:2], 3)


def test_a_damaged_checkpoint_of_a_group_is_moved_aside(spec: TrialSpec, home: Home) -> None:
    jobs, said = jobs_of(spec, home, 0, 1), list[str]()
    path = begun(home, *jobs)
    path.write_bytes(path.read_bytes()[:-1])
    assert seeds(jobs, 2, said) == [[0, 1]]
    assert not path.exists() and said[0].endswith("its replicas start again")


def test_a_group_that_cannot_be_trained_is_given_up_and_said(
    spec: TrialSpec, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trials are trained one at a time then; a full disk stops the run instead, and the checkpoint stays."""
    jobs, said = jobs_of(spec, home, 0, 1), list[str]()
    group, path, watcher = Group(jobs=tuple(jobs)), begun(home, *jobs), execute.Watcher(say=said.append)

    def ended(kind: str) -> str | None:
        monkeypatch.setattr(execute, "_until_ended", lambda *about: (kind, "it broke", 0))
        return execute._supervise_group(None, group, watcher, 1.0, threading.Event())

    assert ended("done") is None and path.exists() and said == []
    assert ended("disk") == "it broke" and path.exists() and said == []
    assert ended("error") is None and not path.exists()
    assert said == [f"replicas of seeds 0, 1 ({jobs[0].fingerprint}): it broke; they are trained one at a time"]


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    place = importlib.util.spec_from_file_location("tiny_study", Path(__file__).with_name("tiny_study.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("drops", [True, False])
def test_a_run_with_replicas_has_the_records_of_one_without(tiny: ModuleType, tmp_path: Path, drops: bool) -> None:
    """With dropout the bare arm is trained one seed at a time, and the tasks of the other one are, and said so; without
    it all of both is one computation."""
    from search.data.prepare import prepare
    from search.run import run_study

    data = prepare(tiny.SOURCES, tmp_path / "one" / "data")
    study, said = (tiny.tiny_ablation if drops else tiny.plain_ablation)(data), list[str]()
    found: dict[str, dict[str, TrialRecord]] = {}
    for name, replicas in (("one", 1), ("two", 2)):
        if name == "two":
            for shared in ("data", "teachers"):
                shutil.copytree(tmp_path / "one" / shared, tmp_path / "two" / shared)
        options, watcher = execute.Options(workers=1, replicas=replicas), execute.Watcher(say=said.append)
        found[name] = run_study(study, tiny.home(tmp_path / name), options, {"command": "tiny"}, watcher).records
    alone = [
        f"2 trials are trained one seed at a time: {DROPOUT}",
        f"2 trials are fine-tuned one seed at a time: {TASKS}",
    ]
    assert [text for text in said if "at a time" in text] == (alone if drops else [])
    assert found["one"].keys() == found["two"].keys() and len(found["one"]) == 4
    assert not list((tmp_path / "two" / "tiny-smoke" / "checkpoints").iterdir())
    for mark, record in found["one"].items():
        twin = found["two"][mark]
        assert (twin.status, twin.spec) == (record.status, record.spec)
        assert [one.metric for one in timeless(twin)] == [one.metric for one in timeless(record)]
        for one, other_one in zip(timeless(twin), timeless(record), strict=True):
            assert one.value == pytest.approx(other_one.value, abs=5.0 if drops else 0.1)
        assert [(p.stage, p.step) for p in twin.curves] == [(p.stage, p.step) for p in record.curves]
        for one, other_one in zip(twin.curves, record.curves, strict=True):
            assert one.value == pytest.approx(other_one.value, rel=0.02 if drops else 1e-3)
        together = record.spec.teacher is not None or not drops
        assert twin.provenance.get("replicas") == (2 if together else None)
        assert twin.provenance.get("products") == ("onednn" if has_onednn() and not together else None)
        assert (twin.value("peak_memory_bytes") is None) == together
        clock = next(one.conditions["clock"] for one in twin.measurements if one.metric == "train_seconds")
        assert ("as one computation" in clock, clock.endswith("before the tasks")) == (together, together and drops)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes through /proc")
def test_a_group_whose_worker_is_killed_in_a_task_leaves_the_same_bits(tiny: ModuleType, tmp_path: Path) -> None:
    from search.data.prepare import prepare

    arm = tiny.plain_ablation(prepare(tiny.SOURCES, tmp_path / "data")).arms[0].spec
    tuning = replace(arm.recipe.fine_tuning, steps=40)
    arm = replace(arm, recipe=replace(arm.recipe, fine_tuning=tuning))
    left: dict[str, list[Checkpoint]] = {}
    for name in ("undisturbed", "killed"):
        home, said, killed = Home(tmp_path / name, tmp_path / "data", tmp_path / "teachers"), list[str](), list[str]()

        def progress(mark: str, stage: str, seconds: float, name: str = name, killed: list[str] = killed) -> None:
            from multiprocessing.forkserver import _forkserver

            if name == "killed" and stage == "fine-tuning/similarity" and not killed:
                killed.append(stage)
                for pid in tiny.descendants(_forkserver._forkserver_pid):
                    os.kill(pid, signal.SIGKILL)

        jobs = jobs_of(arm, home, 0, 1, checkpoint_seconds=0.0)
        watcher = execute.Watcher(say=said.append, progress=progress)
        execute.train_groups([Group(jobs=tuple(jobs))], workers=1, watcher=watcher)
        left[name] = [load_checkpoint(job.checkpoint_path) for job in jobs]
        assert len(said) == (name == "killed") and all(
            "ended with exit code -9; restarting it" in text for text in said
        )
    for one, other_one in zip(left["undisturbed"], left["killed"], strict=True):
        assert one.state | {"seconds": 0} == other_one.state | {"seconds": 0} and one.state["stage"] == 3
        assert one.tensors.keys() == other_one.tensors.keys()
        assert all(torch.equal(tensor, other_one.tensors[key]) for key, tensor in one.tensors.items())


def timeless(record: TrialRecord) -> list[Measurement]:
    """What a trial was scored and counts."""
    measured = ("train_seconds", "peak_memory_bytes")
    return [one for one in record.measurements if one.metric not in measured and "latency" not in one.metric]
