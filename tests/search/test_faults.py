"""Faults inside real worker processes: each ends in a named outcome or a resumed run, and finished work survives."""

import dataclasses
import importlib.util
import multiprocessing
import random
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from search.execute import DiskFullError, Watcher, execute
from search.fingerprint import fingerprint
from search.record import TrialRecord
from search.trial import TrialSpec
from search.worker import Job, drop_bad_checkpoint

pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods() or sys.platform != "linux",
    reason="faults are made with what Linux has",
)


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    place = importlib.util.spec_from_file_location("tiny_study", Path(__file__).with_name("tiny_study.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of faults, which workers import by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("faults")


@pytest.fixture(scope="module")
def finished(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrialSpec]:
    """A root folder with data, the teacher and one trial that nobody disturbed."""
    from search.data.prepare import prepare

    runs = tmp_path_factory.mktemp("finished")
    spec = tiny.student_trial(prepare(tiny.SOURCES, runs / "data"))
    assert spec.teacher is not None
    teacher = Job(spec=spec.teacher, role="teacher", home=tiny.home(runs))
    records = [*execute([teacher], workers=1, watcher=Watcher())]
    records += execute([Job(spec=spec, role="search", home=tiny.home(runs))], workers=1, watcher=Watcher())
    assert [record.status for record in records] == ["complete", "complete"]
    return runs, spec


@pytest.fixture
def place(finished: tuple[Path, TrialSpec], tmp_path: Path) -> tuple[Path, TrialSpec]:
    """A fresh root folder with the data, the teacher, and another trial that is finished."""
    for name in ("data", "teachers"):
        shutil.copytree(finished[0] / name, tmp_path / name)
    return tmp_path, finished[1]


def job(tiny: ModuleType, place: tuple[Path, TrialSpec], faults: Any = None, fault: str = "") -> Job:
    common = {"spec": place[1], "role": "search", "home": tiny.home(place[0]), "checkpoint_seconds": 0.0}
    return faults.FaultyJob(**common, fault=fault) if fault else Job(**common)


def run(jobs: list[Job], **options: Any) -> list[TrialRecord]:
    return list(execute(jobs, **{"workers": 1, "watcher": Watcher(), "hang_seconds": 60.0, **options}))


def weights(place: tuple[Path, TrialSpec]) -> bytes:
    return (place[0] / "tiny-smoke" / "weights" / f"{fingerprint(place[1])}.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("nan loss", "the loss became nan in stage distillation at step 3"),
        ("nan gradient", "the gradient norm became nan in stage distillation at step 3"),
        ("nan teacher", "the loss became nan in stage distillation at step 0"),
    ],
)
def test_nan_diverges_its_trial_by_name_and_the_next_one_finishes(
    tiny: ModuleType, faults: Any, place: tuple[Path, TrialSpec], fault: str, reason: str
) -> None:
    runs, spec = place
    other = dataclasses.replace(spec, student=dataclasses.replace(spec.student, num_feed_forward=1))
    records = run([job(tiny, place, faults, fault), job(tiny, (runs, other))])
    found = {record.fingerprint: record for record in records}
    diverged = found[fingerprint(spec)]
    assert (diverged.status, diverged.reason) == ("diverged", reason)
    assert diverged.value("accuracy") is None and diverged.provenance["restarts"] == 0
    assert not (runs / "tiny-smoke" / "weights" / f"{fingerprint(spec)}.safetensors").exists()
    assert found[fingerprint(other)].status == "complete"
    assert tiny.contents(runs, "tiny-smoke/checkpoints/*") == {}


def test_a_worker_out_of_memory_fails_by_name_and_the_next_run_goes_on_bit_for_bit(
    tiny: ModuleType, faults: Any, finished: tuple[Path, TrialSpec], place: tuple[Path, TrialSpec]
) -> None:
    (failed,) = run([job(tiny, place, faults, "out of memory")])
    assert failed.status == "failed"
    assert failed.reason.startswith("its worker ran out of memory; run with fewer --workers or at a smaller scale (")
    assert "\n" not in failed.reason
    assert goes_on(tiny, place) == weights(finished)


@pytest.mark.slow
def test_a_worker_that_hangs_every_time_fails_by_name_and_the_next_run_goes_on_bit_for_bit(
    tiny: ModuleType, faults: Any, finished: tuple[Path, TrialSpec], place: tuple[Path, TrialSpec]
) -> None:
    said: list[str] = []
    (failed,) = run([job(tiny, place, faults, "hung")], hang_seconds=1.5, watcher=Watcher(say=said.append))
    assert failed.reason == "its worker died 3 times, the last time because it was silent for 1.5 s and was killed"
    assert len(said) == 2 and all("restarting it from its last checkpoint" in line for line in said)
    assert goes_on(tiny, place) == weights(finished)


def test_a_disk_that_fills_up_in_a_checkpoint_stops_the_run_by_name_and_the_next_one_goes_on_bit_for_bit(
    tiny: ModuleType, faults: Any, finished: tuple[Path, TrialSpec], place: tuple[Path, TrialSpec]
) -> None:
    runs, spec = place
    other = dataclasses.replace(spec, student=dataclasses.replace(spec.student, num_feed_forward=1))
    (record,) = run([job(tiny, (runs, other))])
    before = tiny.contents(runs, "tiny-smoke/*/*")
    with pytest.raises(DiskFullError, match=rf"^No space left on device: .*checkpoints/{fingerprint(spec)}"):
        run([job(tiny, place, faults, "full disk")])
    assert record.status == "complete"
    assert not list(runs.rglob("*.tmp"))
    kept = tiny.contents(runs, "tiny-smoke/*/*")
    assert {name: kept[name] for name in before} == before
    assert goes_on(tiny, place) == weights(finished)


def goes_on(tiny: ModuleType, place: tuple[Path, TrialSpec]) -> bytes:
    """The weights of an undisturbed run after a fault, which starts from the checkpoint that the fault left."""
    runs, spec = place
    checkpoint = runs / "tiny-smoke" / "checkpoints" / f"{fingerprint(spec)}.safetensors"
    assert checkpoint.exists()
    (runs / "tiny-smoke" / "trials" / f"{fingerprint(spec)}.json").unlink(missing_ok=True)
    (record,) = run([job(tiny, place)])
    assert record.status == "complete" and not checkpoint.exists()
    return weights(place)


class Channel:
    """Where a worker's messages go."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, message: Any) -> None:
        self.sent.append(message)


def test_a_trainings_own_checkpoint_cut_at_any_byte_is_set_aside_by_name(
    tiny: ModuleType, faults: Any, finished: tuple[Path, TrialSpec], place: tuple[Path, TrialSpec]
) -> None:
    """Every length near the header's ends and the file's, and many between; then one of them is run to its end."""
    faulty = job(tiny, place)
    with pytest.raises(DiskFullError):
        run([job(tiny, place, faults, "full disk")])
    content = faulty.checkpoint_path.read_bytes()
    header, chance, channel = 8 + int.from_bytes(content[:8], "little"), random.Random(0), Channel()
    lengths = {*range(10), *range(header - 3, header + 3), *range(len(content) - 5, len(content))}
    lengths |= {chance.randrange(len(content)) for _ in range(60)}
    for length in sorted(lengths):
        faulty.checkpoint_path.write_bytes(content[:length])
        drop_bad_checkpoint(faulty, channel)  # type: ignore[arg-type]
        assert not faulty.checkpoint_path.exists(), length
    assert len(channel.sent) == len(lengths)
    assert all(kind == "note" and "is corrupted" in text and "\n" not in text for kind, text in channel.sent)
    faulty.checkpoint_path.write_bytes(content[: len(content) // 3])
    (record,) = run([faulty])
    assert record.status == "complete" and weights(place) == weights(finished)
