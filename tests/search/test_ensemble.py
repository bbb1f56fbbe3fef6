"""An ensemble of teachers: one student learns a task from the mean of their probabilities."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.fingerprint import canonical, fingerprint
from search.recipe import PatientStates, Recipe, TaskDistillation
from search.study import at_seed
from search.trial import TrialSpec, teachers_of
from search.values import from_json, to_json

SOFT = TaskDistillation(teacher_share=1.0)


def listening(spec: TrialSpec, distillation: TaskDistillation | None = SOFT, **fields: Any) -> TrialSpec:
    """The trial with task distillation alone."""
    assert spec.recipe.knowledge_transfer is not None
    pre_training = replace(spec.recipe.pre_training, teacher_share=fields.pop("teacher_share", 0.0))
    tuning = replace(spec.recipe.fine_tuning, distillation=distillation)
    recipe: Recipe = replace(spec.recipe, knowledge_transfer=None, pre_training=pre_training, fine_tuning=tuning)
    return replace(spec, recipe=recipe, **fields)


def with_ensemble(spec: TrialSpec, *seeds: int, **fields: Any) -> TrialSpec:
    """The trial with further teachers of these seeds, which differ from the first in `fields`."""
    assert isinstance(spec.teacher, TrialSpec)
    return replace(spec, ensemble=tuple(replace(spec.teacher, seed=seed, **fields) for seed in seeds))


def test_one_teacher_changes_no_fingerprint_and_another_one_does(make_spec: Any) -> None:
    spec = listening(make_spec(with_teacher=True))
    assert fingerprint(replace(spec, ensemble=())) == fingerprint(spec) != fingerprint(with_ensemble(spec, 1000))
    assert "ensemble" not in str(canonical(spec))


def test_an_ensemble_survives_json_and_moves_with_the_seed(make_spec: Any) -> None:
    spec = with_ensemble(listening(make_spec(with_teacher=True)), 1000, 2000)
    assert from_json(TrialSpec, to_json(spec)) == spec
    moved = at_seed(spec, 3)
    assert [teacher.seed for teacher in teachers_of([moved])] == [3, 1003, 2003]
    assert len(teachers_of([spec, moved, spec])) == 6


def test_what_an_ensemble_cannot_teach_is_refused_by_name(make_spec: Any) -> None:
    plain = make_spec(with_teacher=True)
    with pytest.raises(ValueError, match=r"^an ensemble teaches by task distillation alone, got knowledge transfer"):
        with_ensemble(plain, 1)
    with pytest.raises(ValueError, match=r"^an ensemble teaches by task distillation alone, got a teacher's share;"):
        with_ensemble(listening(plain, teacher_share=0.5), 1)
    for other in (
        TaskDistillation(teacher_share=1.0, logits="squared_error"),
        TaskDistillation(teacher_share=1.0, patient=PatientStates(layer_map=(0,))),
    ):
        with pytest.raises(ValueError, match=r"^an ensemble has mean probabilities, neither states nor logits: it"):
            with_ensemble(listening(plain, other), 1)
    with pytest.raises(ValueError, match=r"^an ensemble joins a teacher that is trained here, got none; leave"):
        replace(make_spec(), ensemble=(plain.teacher,))


def test_teachers_of_an_ensemble_share_words_and_labels_and_differ(make_spec: Any) -> None:
    spec = listening(make_spec(with_teacher=True))
    with pytest.raises(ValueError, match=r"must share the student's data \(.*\), got vocabulary different; train them"):
        with_ensemble(spec, 1, data=replace(spec.data, vocabulary="f" * 64))
    renamed = replace(spec.data.tasks[0], label_names=("no", "yes"))
    with pytest.raises(ValueError, match=r"must share the student's data \(.*\), got tasks different; train them"):
        with_ensemble(spec, 1, data=replace(spec.data, tasks=(renamed, *spec.data.tasks[1:])))
    with pytest.raises(ValueError, match=r"^teachers of an ensemble must differ, got \['.*'\]; give each a seed of"):
        with_ensemble(spec, 1, 1)


def test_a_given_teacher_takes_no_ensembles_place(make_spec: Any, make_ablation: Any) -> None:
    from search.study import Arm
    from studies.given import with_teacher

    spec = with_ensemble(listening(make_spec(with_teacher=True)), 1)
    study = replace(make_ablation(), arms=(Arm(name="two", because="so", spec=spec),))
    given = SimpleNamespace(student=spec.student)
    with pytest.raises(ValueError, match=r"^a given teacher takes the place of one teacher, got an arm with 2 of them"):
        with_teacher(study, given)  # type: ignore[arg-type]


def test_prediction_and_budget_count_every_teacher(make_spec: Any) -> None:
    from search.budget import Assumptions, stages_of
    from search.predict import predict

    one = listening(make_spec(with_teacher=True))
    three = with_ensemble(one, 1, 2)
    (first, *_), (all_of_them, *_) = (
        [stage for stage in stages_of(spec, Assumptions()) if stage.name.startswith("fine-tuning")]
        for spec in (one, three)
    )
    assert all_of_them.teacher_flops == 3 * first.teacher_flops > 0
    assert all_of_them.memory.teacher_weights == 3 * first.memory.teacher_weights > 0
    assert all_of_them.student_flops == first.student_flops
    assert predict(three).train_seconds > predict(one).train_seconds
    assert predict(three).memory_bytes > predict(one).memory_bytes


@pytest.mark.parametrize("kind", ["classification", "span", "regression"])
def test_the_target_is_the_mean_of_the_teachers_probabilities(kind: Any) -> None:
    import torch

    from model_zoo.config import EncoderConfig
    from model_zoo.encoder import Encoder
    from model_zoo.networks import TaskNetwork
    from search.data.spec import TaskSpec
    from search.training.students import num_outputs
    from search.training.teacher_network import TaskEnsemble

    config = EncoderConfig(
        num_layers=1, hidden_size=8, bottleneck_size=4, num_heads=2, feed_forward_size=8, embedding_size=4,
        vocab_size=20, max_positions=8, initializer_range=0.5,
    )  # fmt: skip
    names = ("a", "b", "c") if kind == "classification" else ()
    metric = {"classification": "accuracy", "span": "span_f1", "regression": "spearman"}[kind]
    task = TaskSpec(name="t", kind=kind, metric=metric, label_names=names, identity="b" * 64)
    torch.manual_seed(0)
    teachers = [TaskNetwork(Encoder(config), num_outputs(task)).eval() for _ in range(3)]
    ids = torch.randint(0, 20, (4, 6))
    mask = torch.arange(6) < torch.tensor([6, 4, 3, 5])[:, None]
    with torch.no_grad():
        found = TaskEnsemble(teachers, task)(ids, mask, ids * 0).double()
        each = torch.stack([teacher(ids, mask, ids * 0) for teacher in teachers]).double()
    if kind == "regression":
        torch.testing.assert_close(found, each.mean(0))
        return
    classes = 1 if kind == "span" else -1  # a span's distributions are over its tokens
    expected = each.softmax(2 if kind == "span" else -1).mean(0)
    torch.testing.assert_close(found.softmax(classes), expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.exp(), expected, rtol=1e-5, atol=1e-7)


def test_a_student_of_an_ensemble_trains_end_to_end_and_every_teacher_before_it(tmp_path: Path) -> None:
    from search.data.prepare import prepare
    from search.study import Arm

    place = importlib.util.spec_from_file_location("tiny_study", Path(__file__).with_name("tiny_study.py"))
    assert place is not None and place.loader is not None
    tiny = importlib.util.module_from_spec(place)
    place.loader.exec_module(tiny)
    data = prepare(tiny.SOURCES, tmp_path / "data")
    one = listening(tiny.student_trial(data))
    many = with_ensemble(one, 1000, 2000)
    arms = tuple(Arm(name=name, because="so", spec=spec) for name, spec in (("one", one), ("three", many)))
    study = replace(tiny.tiny_ablation(data), arms=arms, seeds=(0,))
    summary = tiny.drive(study, tmp_path)
    assert {record.status for record in summary.records.values()} == {"complete"}
    assert {path.name for path in (tmp_path / "teachers").iterdir()} == {fingerprint(t) for t in many.teachers}
    losses = [
        [point.value for point in summary.records[fingerprint(spec)].curves if point.stage.startswith("fine-tuning")]
        for spec in (one, many)
    ]
    assert losses[0] != losses[1] and all(len(found) > 2 for found in losses)
