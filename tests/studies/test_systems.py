"""The arms of `systems`: the encoders' fingerprints stay, and the BiLSTM has their size and their fine-tuning."""

from dataclasses import replace
from pathlib import Path

import pytest

from model_zoo.student import student_cost
from search.fingerprint import fingerprint
from search.study import SCALES, Scale, plan
from search.trial import TrialSpec
from studies.data_specs import known_data_spec
from studies.systems import STUDY, declare

AT_CPU_SCALE = {
    "MobileBERT": "c1486081e178dc89",
    "MobileBERT_TINY": "280e5f804ac63397",
    "DistilBERT": "6c3c815e2835ecda",
    "PKD": "4263c6f1ff6064b5",
    "TinyBERT": "2db6412e52cde5fb",
    "Well-read": "b292e58825a642dd",
}
"""Of seed 0, from before a trial could have a BiLSTM: runs that were made find their trials again."""


def arms_of(scale: Scale, folder: Path) -> dict[str, TrialSpec]:
    study = declare(scale, known_data_spec(STUDY.sources(scale), folder))
    return {one.arm: one.spec for one in plan(study) if one.seed == 0}


def test_the_encoders_trials_have_the_fingerprints_that_they_had(tmp_path: Path) -> None:
    arms = arms_of("cpu", tmp_path)
    assert {name: fingerprint(spec) for name, spec in arms.items() if name != "BiLSTM"} == AT_CPU_SCALE


@pytest.mark.parametrize("scale", SCALES)
def test_the_bilstm_is_as_large_as_the_tiny_student_and_has_its_fine_tuning(scale: Scale, tmp_path: Path) -> None:
    arms = arms_of(scale, tmp_path)
    tiny, bilstm = arms["MobileBERT_TINY"], arms["BiLSTM"]
    large, ours = (student_cost(spec.student).parameters for spec in (tiny, bilstm))
    assert abs(ours - large) < 0.02 * large
    assert bilstm.teacher == tiny.teacher and bilstm.recipe.student_updates == 0
    tuning = bilstm.recipe.fine_tuning
    rate = tiny.recipe.fine_tuning.optimizer.learning_rate
    same = replace(tuning, distillation=None, optimizer=replace(tuning.optimizer, learning_rate=rate))
    assert same == tiny.recipe.fine_tuning
    assert tuning.distillation is not None and tuning.distillation.logits == "squared_error"
