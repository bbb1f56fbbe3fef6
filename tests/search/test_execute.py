"""Supervised worker processes: killed, stopped, dying and failing ones, each a real process."""

import importlib.util
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from search.execute import SERVER_ENVIRONMENT, Watcher, _context, execute
from search.fingerprint import fingerprint
from search.record import TrialRecord
from search.training.products import has_onednn
from search.trial import TrialSpec
from search.worker import Job

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes through /proc"),
    pytest.mark.skipif(
        "forkserver" not in multiprocessing.get_all_start_methods(), reason="workers are found as the fork server's"
    ),
]


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    place = importlib.util.spec_from_file_location("tiny_study", Path(__file__).with_name("tiny_study.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def prepared(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrialSpec]:
    """A root folder with data, the teacher and one trial that nobody disturbed."""
    from search.data.prepare import prepare

    runs = tmp_path_factory.mktemp("prepared")
    spec = long_enough(tiny.student_trial(prepare(tiny.SOURCES, runs / "data")))
    (teacher,) = execute([job(tiny, runs, spec.teacher, "teacher")], workers=1, watcher=Watcher())
    (record,) = execute([job(tiny, runs, spec)], workers=1, watcher=Watcher())
    assert (teacher.status, record.status, record.provenance["restarts"]) == ("complete", "complete", 0)
    library = "onednn" if has_onednn() else None
    assert [one.provenance.get("products") for one in (teacher, record)] == [library, library]
    return runs, spec


def long_enough(spec: TrialSpec) -> TrialSpec:
    """The trial with stages that outlast the way of a signal, however fast the machine is."""
    recipe = spec.recipe
    distillation = replace(recipe.pre_training, steps=20 * recipe.pre_training.steps)
    tuning = replace(recipe.fine_tuning, steps=10 * recipe.fine_tuning.steps)
    return replace(spec, recipe=replace(recipe, pre_training=distillation, fine_tuning=tuning))


@pytest.fixture
def place(prepared: tuple[Path, TrialSpec], tmp_path: Path) -> tuple[Path, TrialSpec]:
    """A fresh root folder with the data and the teacher."""
    for name in ("data", "teachers"):
        shutil.copytree(prepared[0] / name, tmp_path / name)
    return tmp_path, prepared[1]


def job(tiny: ModuleType, runs: Path, spec: TrialSpec, role: Any = "search") -> Job:
    return Job(spec=spec, role=role, home=tiny.home(runs), checkpoint_seconds=0.0)


def run(
    tiny: ModuleType, runs: Path, specs: list[TrialSpec], watcher: Watcher, hang_seconds: float = 60.0, workers: int = 1
) -> dict[str, TrialRecord]:
    jobs = [job(tiny, runs, spec) for spec in specs]
    records = list(execute(jobs, workers=workers, watcher=watcher, hang_seconds=hang_seconds))
    assert tiny.gone(worker_processes(tiny), 2.0)
    return {record.fingerprint: record for record in records}


def worker_processes(tiny: ModuleType) -> list[int]:
    """Children of the fork server."""
    from multiprocessing.forkserver import _forkserver

    return list(tiny.descendants(_forkserver._forkserver_pid))


def weights(runs: Path, spec: TrialSpec) -> bytes:
    return (runs / "tiny-smoke" / "weights" / f"{fingerprint(spec)}.safetensors").read_bytes()


class Sends:
    """Sends a signal to every worker, once, when a trial is in a stage."""

    def __init__(self, tiny: ModuleType, stage: str, number: signal.Signals, times: int = 1) -> None:
        self.tiny, self.stage, self.number, self.times = tiny, stage, number, times
        self.said: list[str] = []

    def progress(self, mark: str, stage: str, updates: int) -> None:
        if stage.startswith(self.stage) and self.times > 0:
            self.times -= 1
            for pid in worker_processes(self.tiny):
                os.kill(pid, self.number)

    def watcher(self) -> Watcher:
        return Watcher(say=self.said.append, progress=self.progress)


def test_the_server_of_workers_keeps_little_of_what_is_compiled_for_a_shape_and_its_driver_is_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from multiprocessing import forkserver

    seen: list[dict[str, str]] = []
    monkeypatch.setattr(forkserver, "ensure_running", lambda: seen.append(dict(os.environ)))
    for name in SERVER_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    before = dict(os.environ)
    _context()
    assert {name: seen[0][name] for name in SERVER_ENVIRONMENT} == {**SERVER_ENVIRONMENT, "LRU_CACHE_CAPACITY": "7"}
    assert dict(os.environ) == before


@pytest.mark.parametrize("stage", ["transfer", "distillation", "fine-tuning"])
def test_a_killed_worker_costs_its_trial_one_restart_and_not_a_bit_of_its_weights(
    tiny: ModuleType, prepared: tuple[Path, TrialSpec], place: tuple[Path, TrialSpec], stage: str
) -> None:
    runs, spec = place
    kills = Sends(tiny, stage, signal.SIGKILL)
    record = run(tiny, runs, [spec], kills.watcher())[fingerprint(spec)]
    assert record.status == "complete"
    assert record.provenance["restarts"] == 1
    assert kills.said == [
        f"trial {fingerprint(spec)}: its worker ended with exit code -9; restarting it from its last checkpoint"
    ]
    assert weights(runs, spec) == weights(*prepared)
    assert tiny.contents(runs, "tiny-smoke/checkpoints/*") == {}


def test_a_stopped_worker_is_killed_when_it_has_been_silent_for_too_long_and_restarted(
    tiny: ModuleType, prepared: tuple[Path, TrialSpec], place: tuple[Path, TrialSpec]
) -> None:
    runs, spec = place
    stops = Sends(tiny, "distillation", signal.SIGSTOP)
    record = run(tiny, runs, [spec], stops.watcher(), hang_seconds=4.0)[fingerprint(spec)]
    assert record.provenance["restarts"] == 1
    assert "was silent for 4 s and was killed" in stops.said[0]
    assert weights(runs, spec) == weights(*prepared)


def test_a_worker_that_always_dies_ends_as_failed_and_the_others_finish(
    tiny: ModuleType, prepared: tuple[Path, TrialSpec], place: tuple[Path, TrialSpec]
) -> None:
    runs, spec = place
    unlucky = replace(spec, student=replace(spec.student, num_feed_forward=1))
    kills = Sends(tiny, "", signal.SIGKILL, times=3)
    records = run(tiny, runs, [unlucky, spec], kills.watcher())
    failed = records[fingerprint(unlucky)]
    assert failed.status == "failed"
    assert failed.reason == "its worker died 3 times, the last time because it ended with exit code -9"
    assert failed.value("accuracy") is None and failed.value("parameters") is not None
    assert json.loads((runs / "tiny-smoke" / "trials" / f"{failed.fingerprint}.json").read_text())["status"] == "failed"
    assert records[fingerprint(spec)].status == "complete"
    assert weights(runs, spec) == weights(*prepared)


def test_a_trial_that_cannot_be_run_fails_with_the_reason_and_the_others_finish(
    tiny: ModuleType, prepared: tuple[Path, TrialSpec], place: tuple[Path, TrialSpec]
) -> None:
    runs, spec = place
    assert spec.teacher is not None
    without_data = replace(spec.data, corpus="0" * 64)
    lost = replace(spec, data=without_data, teacher=replace(spec.teacher, data=without_data))
    records = run(tiny, runs, [lost, spec], Watcher(), workers=2)
    assert records[fingerprint(lost)].status == "failed"
    assert "data must be prepared before they are opened" in records[fingerprint(lost)].reason
    assert "\n" not in records[fingerprint(lost)].reason
    assert "Traceback" in (runs / "tiny-smoke" / "failures" / f"{fingerprint(lost)}.txt").read_text()
    assert records[fingerprint(spec)].status == "complete"


def test_two_workers_give_the_bytes_of_one(
    tiny: ModuleType, prepared: tuple[Path, TrialSpec], place: tuple[Path, TrialSpec]
) -> None:
    runs, spec = place
    other = replace(spec, student=replace(spec.student, num_feed_forward=3))
    run(tiny, runs, [spec, other], Watcher(), workers=2)
    assert weights(runs, spec) == weights(*prepared)
    run(tiny, prepared[0], [other], Watcher(), workers=1)
    assert weights(runs, other) == weights(prepared[0], other)


class StoppedError(Exception):
    """What the driver meets in these tests, in the middle of a training."""


def stop_at_distillation(mark: str, stage: str, updates: int) -> None:
    if stage == "distillation":
        raise StoppedError(mark)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def leave(path: Path) -> None:
    pass


@pytest.mark.parametrize("damage", [leave, truncate, flip, lambda path: path.write_bytes(b"")])
def test_a_driver_that_fails_leaves_no_worker_and_a_checkpoint_that_is_used_if_it_is_whole(
    tiny: ModuleType,
    prepared: tuple[Path, TrialSpec],
    place: tuple[Path, TrialSpec],
    damage: Callable[[Path], object],
) -> None:
    runs, spec = place
    with pytest.raises(StoppedError):
        run(tiny, runs, [spec], Watcher(progress=stop_at_distillation))
    assert tiny.gone(worker_processes(tiny), 2.0)
    checkpoint = runs / "tiny-smoke" / "checkpoints" / f"{fingerprint(spec)}.safetensors"
    damage(checkpoint)
    said: list[str] = []
    record = run(tiny, runs, [spec], Watcher(say=said.append))[fingerprint(spec)]
    assert record.status == "complete" and record.provenance["restarts"] == 0
    assert weights(runs, spec) == weights(*prepared)
    aside = runs / "tiny-smoke" / "quarantine" / checkpoint.name
    if damage is leave:
        assert said == [] and not aside.exists()
    else:
        assert aside.exists()
        assert len(said) == 1 and checkpoint.name in said[0] and "corrupted" in said[0] and "quarantine" in said[0]
