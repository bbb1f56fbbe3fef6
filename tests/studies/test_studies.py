"""Every shipped study can be declared and planned at every scale, and keeps the ratios that the paper argues from."""

import re
from typing import Any

import numpy as np
import pytest

from model_zoo.config import EncoderConfig
from model_zoo.student import student_cost
from search.fingerprint import fingerprint
from search.study import SCALES, Ablation, Scale, Search, all_configurations, check_search, knobs, plan
from search.trial import changes
from studies.catalogue import MODULES, all_studies, check_scale, load_study
from studies.data_specs import known_data_spec
from studies.scales import SIZES, student_encoder, student_trial, teacher_encoder


def declared(name: str, scale: Scale, tmp_path: Any) -> Search | Ablation:
    study = load_study(name)
    return study.declare(scale, known_data_spec(study.sources(scale), tmp_path))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", MODULES)
def test_every_study_plans_at_every_scale(name: str, scale: Scale, tmp_path: Any) -> None:
    study = declared(name, scale, tmp_path)
    assert (study.name, study.scale, study.question) == (name, scale, load_study(name).question)
    if isinstance(study, Search):
        check_search(study)
        assert study.num_trials <= len(all_configurations(study))
        specs = list(all_configurations(study).values())
    else:
        specs = [one.spec for one in plan(study)]
        assert len({fingerprint(spec) for spec in specs}) == len(study.arms) * len(study.seeds)
    for spec in specs:
        assert student_cost(spec.student, spec.data.length).parameters > 0
        if isinstance(spec.student, EncoderConfig):  # a BiLSTM has no positions to run out of
            assert spec.student.max_positions >= study.latency.length


@pytest.mark.parametrize("scale", SCALES)
def test_the_search_starts_from_the_papers_student(scale: Scale, tmp_path: Any) -> None:
    search = declared("student-search", scale, tmp_path)
    assert isinstance(search, Search)
    student, teacher = search.baseline.student, search.baseline.teacher
    assert search.first[0] == {
        "bottleneck_size": student.bottleneck_size,
        "num_heads": student.num_heads,
        "num_feed_forward": student.num_feed_forward,
    }
    assert fingerprint(search.baseline) in all_configurations(search)
    assert list(knobs(search)) == ["bottleneck_size", "num_heads", "num_feed_forward"]
    assert teacher is not None
    for spec in all_configurations(search).values():
        assert spec.student.hidden_size == teacher.student.hidden_size
        assert spec.recipe.knowledge_transfer is not None and spec.recipe.knowledge_transfer.average_heads


@pytest.mark.parametrize("scale", SCALES)
def test_the_arms_of_the_transfer_study_differ_in_training_alone(scale: Scale, tmp_path: Any) -> None:
    study = declared("knowledge-transfer", scale, tmp_path)
    assert isinstance(study, Ablation)
    bare, transfer = (arm.spec for arm in study.arms)
    assert bare.student == transfer.student
    assert bare.recipe.student_updates == transfer.recipe.student_updates
    assert bare.recipe.fine_tuning == transfer.recipe.fine_tuning
    assert all(change.field.startswith(("recipe.", "teacher")) for change in changes(bare, transfer))
    assert len(study.seeds) == (2 if scale == "smoke" else 6)


@pytest.mark.parametrize("scale", SCALES)
def test_the_arms_of_the_methods_study_share_student_teacher_and_updates(scale: Scale, tmp_path: Any) -> None:
    study = declared("transfer-methods", scale, tmp_path)
    assert isinstance(study, Ablation)
    assert [arm.name for arm in study.arms][:6] == ["bare", "PD", "PD + FMT", "AKT", "JKT", "PKT"]
    assert len({arm.spec.student for arm in study.arms}) == 1
    assert len({arm.spec.recipe.student_updates for arm in study.arms}) == 1
    assert len({arm.spec.recipe.fine_tuning.updates_per_task for arm in study.arms}) == 1
    # A teacher where something is learned from it, and only there; and it is the same one.
    assert all((arm.spec.teacher is not None) == arm.spec.recipe.needs_teacher for arm in study.arms)
    assert len({arm.spec.teacher for arm in study.arms if arm.spec.teacher}) == 1
    assert study.arms[5].spec == student_trial(scale, study.baseline.data, 0, average_heads=False)


PAPERS_STUDIES = (
    "teacher-search",
    "student-grid",
    "operational-optimisations",
    "quantisation",
    "training-strategies",
    "training-objectives",
    "systems",
)
"""What `make reproduce` runs."""


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", (*PAPERS_STUDIES, "interactions"))
def test_a_study_of_the_paper_has_eight_seeds_and_claims_that_they_can_carry(
    name: str, scale: Scale, tmp_path: Any
) -> None:
    study = declared(name, scale, tmp_path)
    assert isinstance(study, Ablation)
    assert len(study.seeds) == (2 if scale == "smoke" else 8)
    assert 1 <= len(study.claims) <= 6
    arms = {arm.name for arm in study.arms}
    assert name == "interactions" or any(set(row[0] for row in table.rows) & arms for table in study.paper)
    assert all(claim.source and claim.says and claim.margin_because for claim in study.claims)


@pytest.mark.parametrize("scale", SCALES)
def test_the_papers_studies_share_arms_and_teachers_by_fingerprint(scale: Scale, tmp_path: Any) -> None:
    by_name = {}
    for name in PAPERS_STUDIES:
        study = declared(name, scale, tmp_path)
        assert isinstance(study, Ablation)
        by_name[name] = {arm.name: fingerprint(arm.spec) for arm in study.arms}
    marks = {mark for arms in by_name.values() for mark in arms.values()}
    assert len(marks) == 25  # the teacher among them
    assert by_name["student-grid"]["128, 4 FFN"] == by_name["training-objectives"]["bare"]
    assert by_name["operational-optimisations"]["LayerNorm & gelu"] == by_name["training-objectives"]["PD + FMT + AT"]
    thin = {by_name["training-strategies"]["PKT"], by_name["operational-optimisations"]["NoNorm & relu"]}
    assert thin == {by_name["systems"]["MobileBERT"]} == {by_name["quantisation"]["MobileBERT"]}
    teachers = {
        fingerprint(arm.spec.teacher)
        for name in PAPERS_STUDIES
        for arm in declared(name, scale, tmp_path).arms
        if arm.spec.teacher is not None
    }
    assert teachers == {by_name["training-objectives"]["IB-BERT"]}


def test_at_the_papers_scale_and_vocabulary_the_networks_are_the_papers(tmp_path: Any) -> None:
    from dataclasses import replace

    from model_zoo.presets import PRESETS

    def encoders(name: str) -> dict[str, Any]:
        study = declared(name, "paper", tmp_path)
        return {arm.name: replace(arm.spec.student, vocab_size=30522) for arm in study.arms}

    teachers = encoders("teacher-search")
    assert {letter: teachers[letter] for letter in "acefg"} == {
        letter: PRESETS[f"teacher-{letter}"]() for letter in "acefg"
    }
    assert encoders("systems")["MobileBERT_TINY"] == PRESETS["mobilebert-tiny"]()
    assert encoders("operational-optimisations")["LayerNorm & gelu"] == PRESETS["mobilebert-without-opt"]()


@pytest.mark.parametrize("scale", SCALES)
def test_the_students_of_the_grid_have_heads_of_one_size_and_feed_forwards_of_four_widths_or_a_little_more(
    scale: Scale, tmp_path: Any
) -> None:
    study = declared("student-grid", scale, tmp_path)
    assert isinstance(study, Ablation)
    students = [arm.spec.student for arm in study.arms]
    assert len({student.head_size for student in students}) == 1
    assert [student.num_feed_forward for student in students] == [4, 1, 2, 8]
    for student in students:
        assert 4 <= student.feed_forward_size / student.bottleneck_size < 4.5
    assert not any(arm.spec.teacher for arm in study.arms)


def test_the_half_fraction_confounds_no_main_effect_and_no_pair_with_another(tmp_path: Any) -> None:
    from itertools import combinations

    from studies.interactions import arm_name, half_fraction, interaction

    signs = np.array(half_fraction())
    pairs = [signs[:, first] * signs[:, second] for first, second in combinations(range(5), 2)]
    columns = np.stack([*signs.T, *pairs])
    assert (columns @ columns.T == 16 * np.eye(15, dtype=int)).all()
    assert len({arm_name(tuple(row)) for row in half_fraction()}) == 16
    # The contrast is the difference of two differences of means: its weights by hand.
    weights = {term.arm: term.weight for term in interaction(4, 3)}
    assert weights["1 FFN, narrow, 2 heads, LayerNorm, PD + FMT"] == -0.25
    assert weights["4 FFN, wide, 4 heads, NoNorm, PD + FMT"] == 0.25


@pytest.mark.parametrize("scale", SCALES)
def test_the_ratios_of_the_paper_survive_the_scaling(scale: Scale, tmp_path: Any) -> None:
    data = known_data_spec(load_study("student-search").sources(scale), tmp_path)
    student, teacher = student_encoder(scale, data), teacher_encoder(scale, data)
    assert student.hidden_size == teacher.hidden_size == 4 * student.bottleneck_size
    assert teacher.bottleneck_size == 2 * teacher.hidden_size
    assert student.feed_forward_size == 4 * student.bottleneck_size
    assert teacher.feed_forward_size == 4 * teacher.bottleneck_size
    assert student.num_heads == teacher.num_heads == 4
    assert (student.num_feed_forward, teacher.num_feed_forward) == (4, 1)
    assert (student.norm, student.activation, student.hidden_dropout) == ("no_norm", "relu", 0.0)
    assert (teacher.norm, teacher.activation) == ("layer_norm", "gelu")
    assert SIZES[scale].transfer_steps % student.num_layers == 0


def test_the_paper_scale_is_the_papers(tmp_path: Any) -> None:
    from dataclasses import replace

    from model_zoo.presets import ib_bert_large, mobilebert

    data = known_data_spec(load_study("student-search").sources("paper"), tmp_path)
    student, teacher = student_encoder("paper", data), teacher_encoder("paper", data)
    assert replace(student, vocab_size=30522) == mobilebert()
    assert replace(teacher, vocab_size=30522) == ib_bert_large()
    spec = student_trial("paper", data, 0, average_heads=False)
    transfer = spec.recipe.knowledge_transfer
    assert transfer is not None and spec.teacher is not None
    assert (transfer.steps, transfer.steps // 24, transfer.optimizer.kind) == (240_000, 10_000, "lamb")
    assert spec.recipe.pre_training.steps == spec.teacher.recipe.pre_training.steps == 500_000
    assert (spec.recipe.pre_training.teacher_share, transfer.optimizer.learning_rate) == (0.5, 1.5e-3)


@pytest.mark.parametrize("scale", SCALES)
def test_what_was_scaled_down_is_said_with_both_numbers(scale: Scale, tmp_path: Any) -> None:
    rows = declared("student-search", scale, tmp_path).scaling
    if scale == "paper":
        assert rows == ()
        return
    named = {row.what: (row.paper, row.here) for row in rows}
    assert named["blocks"] == ("24", str(SIZES[scale].num_layers))
    assert named["h_inter"] == ("512", str(SIZES[scale].hidden_size))
    assert named["optimizer"][0] == "LAMB"
    assert len(named) == len(rows) >= 12


# The catalogue


def test_the_catalogue_knows_every_study_by_its_name() -> None:
    assert [study.name for study in all_studies()] == list(MODULES)
    assert all(study.question.endswith("?") for study in all_studies())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("student-serch", "did you mean student-search?"),
        ("xyz", f"there are {', '.join(MODULES)}"),
    ],
)
def test_an_unknown_study_is_refused_with_a_hint(name: str, hint: str) -> None:
    message = f"study must be one that `thinbert list` shows, got {name!r}; {hint}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_study(name)


def test_an_unknown_scale_is_refused() -> None:
    assert [check_scale(scale) for scale in SCALES] == list(SCALES)
    with pytest.raises(ValueError, match=r"^scale must be one of smoke, cpu, gpu, paper; got 'huge'$"):
        check_scale("huge")
