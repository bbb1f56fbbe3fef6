"""`thinbert export` on a trial that was really trained: files that open elsewhere, scores, and bad input."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model_zoo.onnx_export import Inputs, open_session, products, run_session
from search.data.prepare import open_data, prepare
from search.export.folder import export_subject
from search.export.onnx import CALIBRATION_ROWS, calibration, run_split
from search.export.subject import preset_subject, trial_subject
from search.fingerprint import fingerprint
from search.record import read_record
from search.worker import Home, Job, run_job
from studies.command_line import main

TINY_STUDY = Path(__file__).parents[1] / "tiny_study.py"


class Listener:
    """Stands where a driver would listen."""

    def send(self, message: tuple[Any, ...]) -> None:
        pass


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with two trained trials: Q and K from a shared bottleneck, and the paper's block."""
    place = importlib.util.spec_from_file_location("tiny_study_of_export", TINY_STUDY)
    assert place is not None and place.loader is not None
    tiny = importlib.util.module_from_spec(place)
    place.loader.exec_module(tiny)
    runs = tmp_path_factory.mktemp("runs")
    spec = tiny.student_trial(prepare(tiny.SOURCES, runs / "data"))
    home = Home(run=runs / "tiny-smoke", data=runs / "data", teachers=runs / "teachers")
    channel: Any = Listener()
    run_job(Job(spec=spec.teacher, role="teacher", home=home), channel)
    for attention_input in ("shared_bottleneck", "block_input"):
        student = replace(spec.student, attention_input=attention_input)
        run_job(Job(spec=replace(spec, student=student), role="arm", home=home), channel)
    return home.run


def named(run: Path, attention_input: str) -> str:
    records = [read_record(path) for path in (run / "trials").glob("*.json")]
    return next(fingerprint(r.spec) for r in records if r.spec.student.attention_input == attention_input)


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """One task of the first trial as ONNX with int8, and its scores."""
    out = tmp_path_factory.mktemp("exported") / "student"
    subject = trial_subject(run, named(run, "shared_bottleneck")[:6])
    return out, export_subject(subject, out, to="onnx", int8=True, tasks=["acceptability"])


def test_a_task_becomes_a_float32_and_two_int8_files_with_label_names(exported: tuple[Path, Any]) -> None:
    out, scores = exported
    assert {path.name for path in (out / "acceptability").iterdir()} == {
        "model.onnx",
        "model-int8-dynamic.onnx",
        "model-int8-static.onnx",
        "config.json",
    }
    assert {task: set(found) for task, found in scores.items()} == {
        "acceptability": {"float32", "int8-dynamic", "int8-static"}
    }
    labels = json.loads((out / "acceptability" / "config.json").read_text())["id2label"]
    assert labels == {"0": "unacceptable", "1": "acceptable"}


def test_the_float32_file_answers_and_scores_as_the_trained_network(exported: tuple[Path, Any], run: Path) -> None:
    out, scores = exported
    subject = trial_subject(run, named(run, "shared_bottleneck"))
    assert subject.trained is not None
    split = subject.trained.data.tasks["acceptability"]["test"]
    with torch.inference_mode():
        parts = (split.token_ids, split.mask, split.token_types)
        expected = subject.tasks["acceptability"](*(torch.from_numpy(np.ascontiguousarray(part)) for part in parts))
    found = run_split(out / "acceptability" / "model.onnx", split)
    assert np.abs(found - expected.numpy()).max() <= 1e-5 * np.abs(expected.numpy()).max()
    recorded = subject.trained.record.value("acceptability/accuracy")
    assert scores["acceptability"]["float32"][0].value == pytest.approx(recorded)


def test_static_int8_is_calibrated_on_train_and_stays_near(exported: tuple[Path, Any], run: Path) -> None:
    out, _ = exported
    data = open_data(run.parent / "data", read_record(next((run / "trials").glob("*.json"))).spec.data)
    batches = calibration(data.tasks["acceptability"]["train"])
    assert sum(len(batch.input_ids) for batch in batches) == min(
        CALIBRATION_ROWS, len(data.tasks["acceptability"]["train"])
    )
    split = data.tasks["acceptability"]["test"]
    exact = run_split(out / "acceptability" / "model.onnx", split)
    for form in ("dynamic", "static"):
        rounded = run_split(out / "acceptability" / f"model-int8-{form}.onnx", split)
        # 8 bits of a range: one part in 256 per product, a dozen products deep.
        assert 0 < np.abs(rounded - exact).max() <= 0.1 * np.abs(exact).max()


def test_products_are_named_by_the_module_they_belong_to(exported: tuple[Path, Any]) -> None:
    modules = set(products(exported[0] / "acceptability" / "model.onnx").values())
    expected = {"encoder.embedding", "encoder.blocks.0.first", "encoder.blocks.1.inner.1", "encoder.blocks.1"}
    assert expected | {"head.dense"} <= modules


def test_the_card_tells_what_was_measured_and_unknown_where_unknown(exported: tuple[Path, Any], run: Path) -> None:
    card = (exported[0] / "README.md").read_text()
    assert named(run, "shared_bottleneck") in card
    assert "| licence of the data | unknown |" in card
    assert "| acceptability | int8-static | accuracy |" in card
    assert str(run) not in card


def test_transformers_opens_an_exported_student_and_its_tokenizer(run: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    subject = trial_subject(run, named(run, "shared_bottleneck"))
    export_subject(subject, tmp_path / "student", to="huggingface")
    model = transformers.AutoModelForPreTraining.from_pretrained(tmp_path / "student").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "student")
    text = "the red dog sees the cats"
    batch = tokenizer([text, f"{text} and {text}"], padding=True, return_tensors="pt", max_length=16, truncation=True)
    assert batch["input_ids"][0, 0] == subject.trained.data.pretraining.special.start  # type: ignore[union-attr]
    network = subject.tasks["acceptability"]  # only its shape is used: the pre-trained encoder is put in
    prefix = "encoder."
    encoder = {n.removeprefix(prefix): t for n, t in subject.weights.items() if n.startswith(prefix)}
    network.encoder.load_state_dict(encoder)
    mask = batch["attention_mask"].bool()
    with torch.inference_mode():
        expected = network.encoder(batch["input_ids"], mask, batch["token_type_ids"]).feature_maps[-1]
        found = model.mobilebert(**batch).last_hidden_state
    # On padded batches too: the exported row of [PAD] is zero.
    assert ((found - expected)[mask].abs().max() / expected[mask].abs().max()).item() <= 1e-5


def test_what_transformers_cannot_express_names_the_knob_and_leaves_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "student"
    assert main(["export", f"{run}:{named(run, 'block_input')}", "--to", "huggingface", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "cannot express attention_input='block_input'" in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bert-tny", "--to", "onnx"], "what is exported is a preset or RUN:FINGERPRINT, got 'bert-tny'; the nearest"),
        (["bert-tiny", "--to", "tflite"], "--to must be huggingface or onnx, got 'tflite'"),
        (["bert-tiny", "--to", "huggingface", "--int8"], "int8 is a form of ONNX files; use --to onnx"),
        (["bert-tiny", "--to", "onnx", "--task", "sst2"], "bert-tiny has the tasks none; got 'sst2'"),
        (["RUN:zzzz", "--to", "onnx"], "a fingerprint must name one trial of tiny-smoke, got 'zzzz', which names none"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    arguments: list[str], message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [argument.replace("RUN", str(run)) for argument in arguments]
    assert main(["export", *arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["export", "bert-tiny", "--to", "huggingface", "--out", str(tmp_path / "file" / "out")]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "file") in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(ValueError, match="must be a new or an empty folder, it is there already"):
        export_subject(preset_subject("bert-tiny"), tmp_path, to="huggingface")
    assert (tmp_path / "mine").read_text() == "x"


def test_a_trial_without_weights_says_what_to_do(run: Path, tmp_path: Path) -> None:
    mark = named(run, "block_input")
    weights = run / "weights" / f"{mark}.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    try:
        with pytest.raises(ValueError, match=r"has no weights .*export one of the front or the baseline"):
            trial_subject(run, mark)
    finally:
        weights.write_bytes(content)
    weights.write_bytes(content[:-7])
    try:
        with pytest.raises(ValueError, match="are corrupted"):
            trial_subject(run, mark)
    finally:
        weights.write_bytes(content)


def test_a_preset_is_exported_with_random_weights_and_its_card_says_so(tmp_path: Path) -> None:
    export_subject(preset_subject("bert-tiny"), tmp_path / "out", to="onnx")
    assert "Weights: random." in (tmp_path / "out" / "README.md").read_text()
    ids = np.ones((1, 5), dtype=np.int64)
    found = run_session(open_session(tmp_path / "out" / "model.onnx", threads=1), Inputs(ids, ids, ids * 0))
    assert found.shape == (1, 5, 128) and np.isfinite(found).all()
