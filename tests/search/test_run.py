"""The driver against kill -9 and damaged files, with real processes; every study here takes seconds."""

import fcntl
import importlib.util
import json
import os
import re
import shutil
import sqlite3
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes through /proc")


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    place = importlib.util.spec_from_file_location("tiny_study", Path(__file__).with_name("tiny_study.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from search.data.prepare import prepare

    folder = tmp_path_factory.mktemp("prepared")
    return folder, prepare(tiny.SOURCES, folder / "data")


@pytest.fixture(scope="module")
def finished(tiny: ModuleType, data: Any) -> Path:
    """The folder of runs of a search that nobody interrupted."""
    runs, spec = data
    tiny.drive(tiny.tiny_search(spec), runs)
    return Path(runs)


@pytest.fixture
def runs(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be damaged."""
    shutil.copytree(finished, tmp_path / "runs")
    return tmp_path / "runs"


def weights_of_search(run: Path) -> dict[str, bytes]:
    """Weights by parameters; which trials are trained again with fresh seeds hangs on measured latency."""
    records = [json.loads(path.read_text()) for path in (run / "trials").glob("*.json")]
    return {
        json.dumps(record["trials"][0]["params"]): (
            run / "weights" / f"{record['fingerprint']}.safetensors"
        ).read_bytes()
        for record in records
        if record["role"] == "search"
    }


def without_trials(trial_file: bytes) -> Any:
    return {name: value for name, value in json.loads(trial_file).items() if name != "trials"}


def test_a_search_whose_driver_is_killed_at_many_moments_finishes_as_an_uninterrupted_one(
    tiny: ModuleType, finished: Path, tmp_path: Path
) -> None:
    moments = [
        ("data prepared", 1),
        ("training the teacher", 1),
        ("generation 0", 1),
        ("progress latency", 2),
        ("progress", 4),
        ("generation 1", 1),
        ("the front", 1),
    ]
    run = tmp_path / "tiny-smoke"
    for start, count in moments:
        before = tiny.contents(run, "trials/*.json")
        with tiny.Driver("search", tmp_path, 2) as driver:
            reached = driver.read_until(start, count)
            assert reached or driver.lines[-1] == "finished", driver.lines[-5:]
            driver.kill()
        after = tiny.contents(run, "trials/*.json")
        assert {name: without_trials(after[name]) for name in before} == {
            name: without_trials(text) for name, text in before.items()
        }
    before = tiny.contents(run, "trials/*.json")
    with tiny.Driver("search", tmp_path, 2) as driver:
        assert driver.finish() == 0, driver.lines[-5:]
    after = tiny.contents(run, "trials/*.json")
    assert {name: after[name] for name in before} == before
    assert weights_of_search(run) == weights_of_search(finished / "tiny-smoke")
    assert tiny.contents(run, "checkpoints/*") == {}
    assert not list(run.rglob("*.tmp")) and not (run / "quarantine").exists()
    check_database(run)


def test_an_ablation_killed_in_its_first_moments_gives_the_bytes_of_one_worker_at_a_time(
    tiny: ModuleType, data: Any, tmp_path: Path
) -> None:
    runs, spec = data
    shutil.copytree(runs / "data", tmp_path / "alone" / "data")
    from search.run import Options, run_study

    alone = tiny.home(tmp_path / "alone")
    run_study(tiny.tiny_ablation(spec), alone, Options(workers=1), {}, quiet())
    together = tmp_path / "together"
    for milliseconds in (500, 2000, 4000):
        with tiny.Driver("ablation", together, 2) as driver:
            wait(milliseconds)
            driver.kill()
    with tiny.Driver("ablation", together, 2) as driver:
        assert driver.finish() == 0, driver.lines[-5:]
    assert len(tiny.contents(alone.run, "weights/*")) == 4
    assert tiny.contents(together / "tiny-smoke", "weights/*") == tiny.contents(alone.run, "weights/*")
    assert tiny.contents(together, "teachers/*/weights.safetensors") == tiny.contents(
        tmp_path / "alone", "teachers/*/weights.safetensors"
    )
    check_database(together / "tiny-smoke")


def quiet() -> Any:
    from search.execute import Watcher

    return Watcher()


def wait(milliseconds: int) -> None:
    import time

    time.sleep(milliseconds / 1000)


def check_database(run: Path) -> optuna.Study:
    """optuna opens the database, and it says what the files say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{run / 'optuna.db'}")
    told: dict[int, tuple[Any, Any]] = {}
    for path in (run / "trials").glob("*.json"):
        record = json.loads(path.read_text())
        values = {item["metric"]: item["value"] for item in record["measurements"]}
        for proposal in record["trials"]:
            told[proposal["number"]] = (
                proposal["params"],
                [values["validation/accuracy"], values["latency_ratio"]] if record["status"] == "complete" else None,
            )
    assert {trial.number: (trial.params, trial.values) for trial in study.trials} == told
    assert all(trial.state.is_finished() for trial in study.trials)
    study._storage.remove_session()
    return study


def go_on(tiny: ModuleType, data: Any, runs: Path, **changed: Any) -> list[str]:
    """Run the search again; what it said."""
    said: list[str] = []
    tiny.drive(tiny.tiny_search(data[1], **changed), runs, said.append)
    check_database(runs / "tiny-smoke")
    return said


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))


def test_a_finished_run_is_left_as_it_is(tiny: ModuleType, data: Any, runs: Path) -> None:
    before = tiny.contents(runs, "*/trials/*") | tiny.contents(runs, "*/weights/*") | tiny.contents(runs, "*/optuna.db")
    assert go_on(tiny, data, runs) == []
    after = tiny.contents(runs, "*/trials/*") | tiny.contents(runs, "*/weights/*") | tiny.contents(runs, "*/optuna.db")
    assert after == before


def change_width(path: Path) -> None:
    path.write_text(path.read_text().replace('"hidden_size": 16', '"hidden_size": 32'))


@pytest.mark.parametrize("damage", [truncate, change_width, lambda path: path.write_text("[]")])
def test_a_corrupted_trial_file_is_named_moved_aside_and_run_again_and_no_other(
    tiny: ModuleType, data: Any, runs: Path, damage: Callable[[Path], None]
) -> None:
    run = runs / "tiny-smoke"
    trials, weights = tiny.contents(run, "trials/*"), tiny.contents(run, "weights/*")
    searched = [name for name, text in trials.items() if json.loads(text)["role"] == "search"]
    damage(run / searched[0])
    bad = (run / searched[0]).read_bytes()
    said = go_on(tiny, data, runs)
    name = Path(searched[0]).name
    assert len(said) == 1 and name in said[0] and f"moved to quarantine/{name}" in said[0]
    assert (run / "quarantine" / name).read_bytes() == bad
    after = tiny.contents(run, "trials/*")
    assert after.keys() == trials.keys()
    assert [key for key in trials if after[key] != trials[key]] == [searched[0]]
    assert tiny.contents(run, "weights/*") == weights


def test_a_failed_trial_is_tried_again_by_the_next_run_and_no_other_is(tiny: ModuleType, data: Any, runs: Path) -> None:
    trials = runs / "tiny-smoke" / "trials"
    before = {path.name: path.read_bytes() for path in trials.glob("*.json")}
    unlucky = sorted(trials.glob("*.json"))[0]
    record = json.loads(unlucky.read_text())
    kept = [item for item in record["measurements"] if item["metric"] in ("parameters", "flops", "latency_ratio")]
    failed = record | {"status": "failed", "reason": "out of memory", "measurements": kept, "curves": []}
    unlucky.write_text(json.dumps(failed))
    said = go_on(tiny, data, runs)
    assert f"trial {unlucky.stem} failed before (out of memory); it is tried again" in said
    again = json.loads(unlucky.read_text())
    assert (again["status"], again["reason"]) == ("complete", "")
    assert again["trials"] == record["trials"]
    others = {path.name: path.read_bytes() for path in trials.glob("*.json") if path != unlucky}
    assert others == {name: content for name, content in before.items() if name != unlucky.name}


@pytest.mark.parametrize("index", [0, 1])
def test_a_corrupted_generation_is_proposed_again_and_costs_no_trial(
    tiny: ModuleType, data: Any, runs: Path, index: int
) -> None:
    run = runs / "tiny-smoke"
    trials = tiny.contents(run, "trials/*")
    truncate(run / "latency" / f"generation-{index:04d}.json")
    said = go_on(tiny, data, runs)
    assert f"generation-{index:04d}.json" in said[0] and "moved to quarantine" in said[0]
    assert tiny.contents(run, "trials/*") == trials
    assert len(list((run / "latency").glob("*.json"))) == 2


def test_a_generation_that_names_other_trials_than_its_parameters_make_is_moved_aside(
    tiny: ModuleType, data: Any, runs: Path
) -> None:
    path = runs / "tiny-smoke" / "latency" / "generation-0001.json"
    document = json.loads(path.read_text())
    document["fingerprints"][0] = "0" * 16
    path.write_text(json.dumps(document))
    assert "moved to quarantine/generation-0001.json" in go_on(tiny, data, runs)[0]


@pytest.mark.parametrize(
    ("name", "damage"),
    [("record.json", truncate), ("weights.safetensors", truncate), ("weights.safetensors", flip)],
)
def test_a_corrupted_teacher_is_named_moved_aside_and_trained_to_the_same_bytes(
    tiny: ModuleType, data: Any, runs: Path, name: str, damage: Callable[[Path], None]
) -> None:
    before = tiny.contents(runs, "teachers/*/weights.safetensors")
    teacher = json.loads((runs / "tiny-smoke" / "study.json").read_text())["teacher"]["fingerprint"]
    damage(runs / "teachers" / teacher / name)
    said = go_on(tiny, data, runs)
    assert re.search(rf"{teacher}.*corrupted.*moved to quarantine/", said[0]), said
    assert tiny.contents(runs, "teachers/*/weights.safetensors") == before


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scribble(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def leave_one_running(path: Path) -> None:
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{path}")
    study.ask()
    study._storage.remove_session()


def leave_a_journal(path: Path) -> None:
    path.unlink()
    path.with_name("optuna.db-journal").write_bytes(os.urandom(5000))


@pytest.mark.parametrize("damage", [delete, empty, truncate, scribble, leave_one_running, leave_a_journal])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_lost_or_damaged_database_is_rebuilt_from_the_trial_files(
    tiny: ModuleType, data: Any, runs: Path, damage: Callable[[Path], None]
) -> None:
    before = tiny.contents(runs, "*/trials/*")
    damage(runs / "tiny-smoke" / "optuna.db")
    assert go_on(tiny, data, runs) == []  # which compares the database with the files
    assert tiny.contents(runs, "*/trials/*") == before


def test_duplicates_are_told_the_stored_value_and_cost_no_trial(tiny: ModuleType, data: Any, runs: Path) -> None:
    run = runs / "tiny-smoke"
    before = {name: without_trials(text) for name, text in tiny.contents(run, "trials/*").items()}
    go_on(tiny, data, runs, num_trials=6, confirmation_seeds=())
    after = {name: json.loads(text) for name, text in tiny.contents(run, "trials/*").items()}
    assert len([record for record in after.values() if record["role"] == "search"]) == 6
    assert {name: {k: v for k, v in after[name].items() if k != "trials"} for name in before} == before
    numbers = sorted(proposal["number"] for record in after.values() for proposal in record["trials"])
    assert numbers == list(range(len(numbers))) and len(numbers) > 6


def test_an_exhausted_space_is_said_and_leaves_no_running_trial(tiny: ModuleType, data: Any, runs: Path) -> None:
    said = go_on(tiny, data, runs, num_trials=7, confirmation_seeds=())
    assert said[-1] == "every configuration of the space has been tried"


def test_a_second_driver_in_one_run_folder_is_refused(tiny: ModuleType, data: Any, runs: Path) -> None:
    with (runs / "tiny-smoke" / ".lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(
            ValueError, match=r"^tiny-smoke is in use by another process; wait for it or choose --runs$"
        ):
            go_on(tiny, data, runs)


def test_a_run_killed_before_its_study_file_was_written_is_begun_again(
    tiny: ModuleType, data: Any, tmp_path: Path
) -> None:
    from search.run_folder import open_run, study_document

    folder = tmp_path / "tiny-smoke"
    folder.mkdir()
    (folder / ".lock").touch()
    (folder / ".study.json.0123456789ab.tmp").write_text("{")
    with open_run(folder, study_document(tiny.tiny_search(data[1]), {})):
        assert json.loads((folder / "study.json").read_text())["study"] == "tiny"
    assert not list(folder.glob(".study.json*"))


def test_a_study_file_of_another_study_or_none_is_refused_and_left(tiny: ModuleType, data: Any, runs: Path) -> None:
    from search.run_folder import check_run, study_document

    document = study_document(tiny.tiny_search(data[1]), {})
    with pytest.raises(ValueError, match="belongs to another run: its study is tiny, asked for was other"):
        check_run(runs / "tiny-smoke", {**document, "study": "other"})
    (runs / "tiny-smoke" / "study.json").unlink()
    with pytest.raises(ValueError, match="must be a run folder or empty"):
        check_run(runs / "tiny-smoke", document)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_database_that_cannot_be_written_is_one_os_error(tiny: ModuleType, data: Any, runs: Path) -> None:
    path = runs / "tiny-smoke" / "optuna.db"
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE trial_values")
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match=r"optuna.db"):
        tiny.drive(tiny.tiny_search(data[1]), runs)
    connection.close()


if sys.platform == "win32":  # pragma: no cover
    pytest.skip("processes are found through /proc", allow_module_level=True)


def test_a_search_with_a_device_profile_measures_only_front_and_baseline(
    tiny: ModuleType, data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from search.latency.measure import measure_latency
    from search.latency.predictor import profile
    from search.latency.protocol import fixed_rounds
    from search.study import all_configurations, mark_of_space

    folder, spec = data
    search = tiny.tiny_search(spec, num_trials=4, confirmation_seeds=())
    encoders = {mark: one.student for mark, one in all_configurations(search).items()}
    sessions = [
        measure_latency(encoders, search.baseline.student, case, seed=0, protocol=fixed_rounds(3))
        for case in (search.latency, replace(search.latency, batch=1, length=1))
    ]
    found = profile(sessions[0], sessions[1], search.name, mark_of_space(search))
    shutil.copytree(folder / "data", tmp_path / "data")
    said: list[str] = []
    summary = tiny.drive(replace(search, profile=found), tmp_path, said.append)
    run = tmp_path / "tiny-smoke"
    records = summary.records.values()
    assert [path.name for path in (run / "latency").iterdir() if "front" in path.name] == ["front.json"]
    assert all(json.loads(path.read_text())["session"] is None for path in (run / "latency").glob("generation-*.json"))
    measured = [record for record in records if record.value("measured_latency_ratio") is not None]
    assert 1 <= len(measured) <= len(records) == 4
    for record in records:
        (ratio,) = [one for one in record.measurements if one.metric == "latency_ratio"]
        assert ratio.conditions["source"] == "predicted" and ratio.interval is not None
        assert ratio.conditions["bound"] in ("launch", "compute")
    said.clear()
    tiny.drive(replace(search, profile=found), tmp_path, said.append)
    assert not [line for line in said if "measured for real" in line]
    with pytest.raises(
        ValueError, match=r"a run whose latency was predicted by profile .*, asked for was measured; choose"
    ):
        tiny.drive(search, tmp_path)
