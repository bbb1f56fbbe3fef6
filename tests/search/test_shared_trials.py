"""A trial that another run under the same root has finished is taken over with its weights, and never trained again."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from search.data.prepare import open_data, prepare
from search.deployed_scores import lacking
from search.execute import Options, Watcher
from search.record import TrialRecord, read_records, write_record
from search.run import run_study
from search.study import Ablation, Arm
from search.training.acceleration import accelerated
from search.worker import Home


def tiny_module() -> ModuleType:
    place = importlib.util.spec_from_file_location("tiny_study", Path(__file__).with_name("tiny_study.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


TINY = tiny_module()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the run of an ablation of one seed."""
    root = tmp_path_factory.mktemp("root")
    run(one_seed(prepare(TINY.SOURCES, root / "data")), root, "first")
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """A copy, to add to."""
    shutil.copytree(finished, tmp_path / "root")
    return tmp_path / "root"


def one_seed(data: Any) -> Ablation:
    study: Ablation = replace(TINY.tiny_ablation(data), seeds=(0,))
    return study


def run(study: Ablation, root: Path, name: str, **options: Any) -> tuple[dict[str, TrialRecord], list[str], set[str]]:
    """Records, what was said, and which trials had stages of training."""
    said: list[str] = []
    trained: set[str] = set()

    def progress(mark: str, stage: str, seconds: float) -> None:
        if mark != "latency" and stage != "scoring as deployed":
            trained.add(mark)

    home = Home(run=root / name, data=root / "data", teachers=root / "teachers")
    about = {"command": "tiny"}
    summary = run_study(study, home, Options(workers=2, **options), about, Watcher(say=said.append, progress=progress))
    return summary.records, said, trained


def test_another_study_takes_over_arms_and_the_teacher_and_scores_them_as_deployed(root: Path) -> None:
    data = prepare(TINY.SOURCES, root / "data")
    study = one_seed(data)
    taught = study.arms[1].spec
    assert taught.teacher is not None and not hasattr(taught.teacher, "tokenizer")
    teacher = Arm(name="teacher", because="the teacher itself", spec=taught.teacher)  # type: ignore[arg-type]
    other = replace(study, name="other", arms=(*study.arms, teacher), score_runtimes=("onnx", "onnx-int8"))
    before, _ = read_records(root / "first")
    records, said, trained = run(other, root, "second")
    assert "3 of 3 trials were trained by other runs here and are taken over" in said
    assert trained == set()
    for mark, record in before.items():
        taken = records[mark]
        assert taken.provenance == record.provenance | {"taken_from": f"first/trials/{mark}.json"}
        assert (taken.value("accuracy"), taken.curves) == (record.value("accuracy"), record.curves)
        weights = [root / name / "weights" / f"{mark}.safetensors" for name in ("first", "second")]
        assert weights[0].samefile(weights[1])
        sessions = [{m.metric: m for m in one.measurements}["latency_ratio"].conditions for one in (record, taken)]
        assert sessions[0]["batch"] == sessions[1]["batch"] and len(sessions) == 2
        assert [m.metric for m in taken.measurements].count("latency_ratio") == 1
    assert not list((root / "second" / "weights").glob(".*"))
    check_deployed_scores(root, records)


def check_deployed_scores(root: Path, records: dict[str, TrialRecord]) -> None:
    """They are those of the exported files, and float32's are those of training."""
    from search.export.onnx import score_file, write_forms
    from search.export.subject import trial_subject

    for mark, record in records.items():
        assert lacking(record.measurements, ("onnx", "onnx-int8")) == ()
        subject = trial_subject(root / "second", mark)
        for task in record.spec.data.tasks:
            splits = open_data(root / "data", record.spec.data).tasks[task.name]
            (folder := root / f"{mark}-{task.name}").mkdir()
            files = write_forms(subject.tasks[task.name], splits["train"], folder, int8=True)
            for runtime, form in (("onnx", "float32"), ("onnx-int8", "int8-dynamic")):
                for one in score_file(files[form], task, splits["test"], record.spec.seed):
                    assert record.value(f"{runtime}/{one.metric}") == one.value
            name = f"{task.name}/{task.metric}"
            assert record.value(f"onnx/{name}") == pytest.approx(record.value(name), abs=1e-3)
        for runtime in ("onnx", "onnx-int8"):
            values = [record.value(f"{runtime}/{task.name}/{task.metric}") for task in record.spec.data.tasks]
            assert record.value(f"{runtime}/accuracy") == pytest.approx(sum(values) / len(values))  # type: ignore[arg-type]


def test_what_is_damaged_unfinished_or_of_another_precision_is_trained(root: Path) -> None:
    data = prepare(TINY.SOURCES, root / "data")
    bare, taught = sorted((root / "first" / "trials").glob("*.json"), key=lambda path: "transfer" in path.read_text())
    bare.write_bytes(bare.read_bytes()[:100])
    (root / "first" / "weights" / f"{taught.stem}.safetensors").unlink()
    records, said, trained = run(one_seed(data), root, "second")
    assert trained == set(records) and not any("taken over" in line for line in said)

    records, said, trained = run(one_seed(data), root, "third", acceleration=accelerated("bfloat16", "cpu"))
    assert trained == set(records) and not any("taken over" in line for line in said)


def test_a_diverged_trial_is_taken_over_as_it_is_and_a_failed_one_is_not(root: Path) -> None:
    data = prepare(TINY.SOURCES, root / "data")
    records, _ = read_records(root / "first")
    (first, one), (second, two) = sorted(records.items())
    write_record(root / "first" / "trials" / f"{first}.json", replace(one, status="diverged", reason="loss is NaN"))
    write_record(root / "first" / "trials" / f"{second}.json", replace(two, status="failed", reason="killed"))
    (root / "first" / "weights" / f"{first}.safetensors").unlink()
    found, said, trained = run(one_seed(data), root, "second")
    assert trained == {second} and "1 of 2 trials were trained by other runs here and are taken over" in said
    assert (found[first].status, found[second].status) == ("diverged", "complete")
    assert not (root / "second" / "weights" / f"{first}.safetensors").exists()
    assert json.loads((root / "second" / "trials" / f"{first}.json").read_text())["reason"] == "loss is NaN"
