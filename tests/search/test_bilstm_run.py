"""An ablation with a BiLSTM arm, run by the driver in real processes, and what is refused of its trial afterwards."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from model_zoo.bilstm_config import BiLSTMConfig
from reports.compare import compare
from search.data.prepare import prepare
from search.export.subject import trial_subject
from search.recipe import TaskDistillation
from search.study import Ablation, Arm
from search.training.checkpoint import load_weights

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes through /proc")


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    place = importlib.util.spec_from_file_location("tiny_study", Path(__file__).with_name("tiny_study.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def with_bilstm(study: Ablation) -> Ablation:
    """The tiny ablation at one seed, its second arm a BiLSTM that the same teacher teaches."""
    bare, taught = study.arms
    tuning = replace(
        taught.spec.recipe.fine_tuning,
        steps=40,
        optimizer=replace(taught.spec.recipe.fine_tuning.optimizer, learning_rate=1e-2),
        distillation=TaskDistillation(teacher_share=1.0, logits="squared_error"),
    )
    recipe = replace(
        taught.spec.recipe,
        knowledge_transfer=None,
        pre_training=replace(taught.spec.recipe.pre_training, steps=0, teacher_share=0.0),
        fine_tuning=tuning,
    )
    student = BiLSTMConfig(
        embedding_size=8, num_channels=1, hidden_size=6, dense_size=8, vocab_size=taught.spec.data.vocab_size
    )
    spec = replace(taught.spec, student=student, recipe=recipe)
    return replace(study, arms=(bare, Arm(name="BiLSTM", because="no encoder", spec=spec)), seeds=(0,))


@pytest.fixture(scope="module")
def run(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    tiny.drive(with_bilstm(tiny.tiny_ablation(prepare(tiny.SOURCES, runs / "data"))), runs)
    (found,) = [path for path in runs.iterdir() if (path / "study.json").exists()]
    return found


@pytest.fixture(scope="module")
def record(run: Path) -> Any:
    records = [json.loads(path.read_text()) for path in (run / "trials").glob("*.json")]
    return next(one for one in records if "num_channels" in one["spec"]["student"])


def test_its_trial_is_complete_with_scores_size_and_latency(record: Any) -> None:
    assert (record["status"], record["reason"]) == ("complete", "")
    found = {one["metric"] for one in record["measurements"]}
    assert {"accuracy", "parameters", "flops", "latency_ms", "latency_ratio", "train_seconds"} <= found
    assert record["trials"][0]["arm"] == "BiLSTM"


def test_its_loss_falls_on_every_task(record: Any) -> None:
    for task in ("acceptability", "similarity"):
        losses = [one["value"] for one in record["curves"] if one["stage"] == f"fine-tuning/{task}"]
        assert losses[-1] < losses[0]


def test_its_weights_are_those_of_the_tasks_alone(run: Path, record: Any) -> None:
    weights = load_weights(run / "weights" / f"{record['fingerprint']}.safetensors")
    assert {name.split("/")[0] for name in weights} == {"tasks"}


def test_it_is_neither_exported_nor_compared(run: Path, record: Any) -> None:
    with pytest.raises(ValueError, match=r"what is exported is an encoder, trial \w+ is a BiLSTM; load .*BiLSTMTask"):
        trial_subject(run, record["fingerprint"])
    with pytest.raises(ValueError, match=r"holds a BiLSTM, compare shows encoders; its figures are on the run's page"):
        compare([f"{run}:{record['fingerprint'][:8]}"])
