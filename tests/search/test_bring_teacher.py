"""What is kept of a teacher's folder: labels by name, the same answers as transformers', a hash of the weights."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from search.bring_teacher import check_kept, given_teacher, keep_teacher, read_teacher
from search.data.spec import DataSpec, TaskSpec
from search.data.tokenizer import build_tokenizer, pieces_of, read_vocabulary, vocabulary_identity
from search.fingerprint import fingerprint
from search.given_teacher import GivenTeacher, fitting_student
from search.training.checkpoint import load_weights
from search.training.teacher_network import missing_tensors, teacher_network
from search.trial import TrialSpec
from search.values import from_json, to_json

pytest.importorskip("transformers")


def module_of(name: str) -> ModuleType:
    place = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


brought = module_of("brought")


def task(name: str, *labels: str) -> TaskSpec:
    return TaskSpec(name=name, kind="classification", metric="accuracy", label_names=labels, identity=name[0] * 64)


@pytest.fixture
def data() -> DataSpec:
    tasks = (task("grammar", "bad", "good"), task("mood", "calm", "sad", "wild"))
    vocabulary = vocabulary_identity(brought.PIECES)
    return DataSpec(corpus="0" * 64, vocabulary=vocabulary, vocab_size=len(brought.PIECES), length=16, tasks=tasks)


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    """Fine-tuned on `mood`, whose labels it has in another order."""
    names = {0: "wild", 1: "calm", 2: "sad"}
    return Path(brought.write_bert(tmp_path / "tuned", "ForSequenceClassification", id2label=names))


def test_a_fine_tuned_teacher_answers_as_transformers_does_with_labels_in_the_tasks_order(
    tuned: Path, data: DataSpec, tmp_path: Path
) -> None:
    import transformers

    from model_zoo.encoder import Encoder
    from model_zoo.networks import TaskNetwork

    found = read_teacher(tuned)
    teacher = given_teacher(found, data)
    assert (teacher.task, teacher.label_names, teacher.heads, teacher.pooler) == (
        "mood",
        ("calm", "sad", "wild"),
        (),
        True,
    )
    keep_teacher(found, teacher, tmp_path / "teachers")
    weights = load_weights(tmp_path / "teachers" / fingerprint(teacher) / "weights.safetensors")
    network = TaskNetwork(Encoder(teacher.student), 3, pooler=True)
    network.load_state_dict(
        {name.removeprefix("tasks/mood/"): tensor for name, tensor in weights.items() if name.startswith("tasks/mood/")}
    )
    token_ids = torch.randint(5, len(brought.PIECES), (3, 12), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(token_ids, dtype=torch.bool)
    theirs = transformers.BertForSequenceClassification.from_pretrained(tuned).eval()
    with torch.no_grad():
        expected = theirs(token_ids).logits[:, [1, 2, 0]]
        logits = network.eval()(token_ids, mask, torch.zeros_like(token_ids))
    assert torch.allclose(logits, expected, atol=1e-5)


def test_labels_that_fit_two_tasks_need_to_be_told_which(tuned: Path, data: DataSpec) -> None:
    twice = replace(data, tasks=(*data.tasks, task("weather", "wild", "calm", "sad")))
    with pytest.raises(
        ValueError, match=r"must fit one task, got \{calm, sad, wild\}, which fit mood and weather; say"
    ):
        given_teacher(read_teacher(tuned), twice)
    brought.edit_config(tuned, finetuning_task="weather")
    assert given_teacher(read_teacher(tuned), twice).label_names == ("wild", "calm", "sad")


def test_labels_of_no_task_are_refused_with_both_sets(tuned: Path, data: DataSpec) -> None:
    brought.edit_config(tuned, id2label=None, label2id=None)
    with pytest.raises(ValueError, match=r"got \{LABEL_0, LABEL_1, LABEL_2\} and grammar \{bad, good\}, mood \{calm, "):
        given_teacher(read_teacher(tuned), data)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"id2label": {"0": "calm", "1": "sad"}}, "id2label must name the rows 0 to 2 of the classifier"),
        ({"id2label": {"0": "calm", "1": "sad", "2": "sad"}}, "must name every row differently, got calm, sad, sad"),
        ({"architectures": ["BertForTokenClassification"]}, "must be one ForSequenceClassification, got BertForToken"),
    ],
)
def test_a_damaged_classification_head_is_refused(tuned: Path, fields: dict[str, Any], error: str) -> None:
    brought.edit_config(tuned, **fields)
    with pytest.raises(ValueError, match=error):
        read_teacher(tuned)


def test_a_regression_is_refused(tmp_path: Path) -> None:
    folder = brought.write_bert(tmp_path / "one", "ForSequenceClassification", num_labels=1)
    with pytest.raises(ValueError, match=r"must classify, got a head with 1 output \(a regression\)"):
        read_teacher(folder)


def test_the_fingerprint_covers_the_weights_and_no_path(tmp_path: Path, data: DataSpec) -> None:
    first, second = (read_teacher(brought.write_bert(tmp_path / name, "ForPreTraining")) for name in ("one", "two"))
    assert given_teacher(first, data) == given_teacher(second, data)
    second.weights["masked_language.bias"][3] += 1e-6
    changed = given_teacher(second, data)
    assert replace(changed, weights_sha256=given_teacher(first, data).weights_sha256) == given_teacher(first, data)
    assert fingerprint(changed) != fingerprint(given_teacher(first, data))


def test_a_kept_teacher_that_is_damaged_is_named_and_written_anew(tmp_path: Path, data: DataSpec) -> None:
    found = read_teacher(brought.write_bert(tmp_path / "one", "ForPreTraining"))
    teacher, teachers = given_teacher(found, data), tmp_path / "teachers"
    with pytest.raises(
        ValueError, match=r"must lie in teachers/, got: given\.json is missing; run again with --teacher"
    ):
        check_kept(teacher, teachers)
    keep_teacher(found, teacher, teachers)
    check_kept(teacher, teachers)
    weights = teachers / fingerprint(teacher) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"weights weights\.safetensors are corrupted"):
        check_kept(teacher, teachers)
    keep_teacher(found, teacher, teachers)
    check_kept(teacher, teachers)


def test_a_head_that_a_teacher_lacks_is_not_copied(tmp_path: Path, data: DataSpec) -> None:
    found = read_teacher(brought.write_bert(tmp_path / "one", "ForMaskedLM"))
    teacher = given_teacher(found, data)
    keep_teacher(found, teacher, tmp_path)
    weights = load_weights(tmp_path / fingerprint(teacher) / "weights.safetensors")
    network = teacher_network(teacher, weights, torch.device("cpu"))
    assert missing_tensors(network, weights) == {"next_sentence.dense.weight", "next_sentence.dense.bias"}
    from model_zoo.networks import PreTrainingNetwork, copy_from_teacher

    student = PreTrainingNetwork(teacher.student)
    copied = copy_from_teacher(student, network, without=missing_tensors(network, weights))
    assert "masked_language.bias" in copied and not [name for name in copied if name.startswith("next_sentence")]


def test_a_trial_with_a_given_teacher_survives_json(tmp_path: Path, data: DataSpec, make_spec: Any) -> None:
    teacher = given_teacher(read_teacher(brought.write_bert(tmp_path / "one", "ForPreTraining")), data)
    taught = make_spec(with_teacher=True)
    student = fitting_student(taught.student, teacher.student)
    spec = TrialSpec(student=student, recipe=taught.recipe, data=data, seed=3, teacher=teacher)
    back = from_json(TrialSpec, json.loads(json.dumps(to_json(spec))))
    assert back == spec and isinstance(back.teacher, GivenTeacher)
    assert from_json(TrialSpec, to_json(taught)) == taught
    with pytest.raises(ValueError, match="must have the word pieces of the data, got 77 and 77 other ones"):
        replace(spec, data=replace(data, vocabulary="e" * 64))
    with pytest.raises(ValueError, match="as many positions as the data have tokens per sequence, got 80 and 81"):
        replace(spec, data=replace(data, length=81), student=replace(student, max_positions=81))


def test_word_pieces_come_from_a_tokenizer_json(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    build_tokenizer(brought.PIECES).save(str(path))
    assert pieces_of(read_vocabulary(path)) == brought.PIECES
    document = json.loads(path.read_text())
    for change, error in [
        ({"normalizer": {"type": "BertNormalizer", "lowercase": False}}, "normalizer must be BERT's uncased one"),
        ({"normalizer": None}, "normalizer must be BERT's uncased one, got None"),
        ({"model": {**document["model"], "type": "BPE"}}, "tokenizer must be a WordPiece, got 'BPE'"),
        ({"model": {**document["model"], "vocab": {"[PAD]": 0, "the": 2}}, "added_tokens": []}, "the ids 0 to 1, each"),
        ({"model": {**document["model"], "continuing_subword_prefix": "@@"}}, "must begin with '##', got '@@'"),
        ({"model": None}, "must be a tokenizer.json with a model and its vocab"),
    ]:
        path.write_text(json.dumps(document | change))
        with pytest.raises(ValueError, match=error):
            read_vocabulary(path)
