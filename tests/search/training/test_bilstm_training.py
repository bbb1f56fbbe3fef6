"""A BiLSTM trained by the loop that trains encoders: it learns, resumes bit for bit, and leaves its teacher alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from model_zoo.bilstm_config import BiLSTMConfig
from search.recipe import TaskDistillation
from search.training.loop import Keeper
from search.training.train import Outcome, train
from search.trial import TrialSpec
from search.values import to_json

STEPS = 3


class Interrupted(Exception):
    """Stands for a killed process."""


@pytest.fixture
def bilstm(spec: TrialSpec) -> TrialSpec:
    """The tiny trial's teacher, data and fine-tuning."""
    student = BiLSTMConfig(
        embedding_size=8, num_channels=1, hidden_size=6, dense_size=8, vocab_size=spec.data.vocab_size
    )
    recipe = replace(
        spec.recipe,
        knowledge_transfer=None,
        pre_training=replace(spec.recipe.pre_training, steps=0, teacher_share=0.0),
        fine_tuning=replace(
            spec.recipe.fine_tuning, distillation=TaskDistillation(teacher_share=1.0, logits="squared_error")
        ),
    )
    return replace(spec, student=student, recipe=recipe)


def trained(trial: TrialSpec, data: Any, weights: Any, path: Path) -> Outcome:
    return train(trial, data, keeper=Keeper(path=path, seconds=1e9), teacher_weights=weights)


def longer(trial: TrialSpec, steps: int) -> TrialSpec:
    tuning = trial.recipe.fine_tuning
    return replace(trial, recipe=replace(trial.recipe, fine_tuning=replace(tuning, steps=steps)))


def scores(outcome: Outcome) -> list[Any]:
    return [to_json(one) for one in outcome.measurements if one.metric != "train_seconds"]


def test_it_has_scores_and_weights_of_every_task_and_nothing_pre_trained(
    bilstm: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    outcome = trained(bilstm, data, teacher_weights, tmp_path / "a")
    assert outcome.status == "complete"
    assert {name.rpartition("/network")[0] for name in outcome.weights} == {
        f"tasks/{task}" for task in ("sentiment", "answering", "similarity")
    }
    found = {one.metric for one in outcome.measurements}
    assert {"accuracy", "validation/accuracy", "answering/span_f1", "similarity/spearman"} <= found


def test_its_loss_against_the_teachers_logits_falls(
    bilstm: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    outcome = trained(longer(bilstm, 60), data, teacher_weights, tmp_path / "a")
    for task in ("sentiment", "answering", "similarity"):
        losses = [one.value for one in outcome.curves if one.stage == f"fine-tuning/{task}" and one.metric == "loss"]
        assert losses[-1] < 0.8 * losses[0], task


def test_a_training_interrupted_after_every_update_ends_bit_equal(
    bilstm: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    whole = trained(bilstm, data, teacher_weights, tmp_path / "whole")
    path = tmp_path / "parts"
    for update in range(1, 3 * STEPS + 1):

        def tell(stage: str, updates: int, last: int = update) -> None:
            if updates == last:
                raise Interrupted(stage)

        with pytest.raises(Interrupted):
            keeper = Keeper(path=path, seconds=0.0, tell=tell)
            train(bilstm, data, keeper=keeper, teacher_weights=teacher_weights)
    resumed = trained(bilstm, data, teacher_weights, path)
    assert (resumed.status, resumed.curves, scores(resumed)) == (whole.status, whole.curves, scores(whole))
    assert set(resumed.weights) == set(whole.weights)
    assert all(torch.equal(tensor, resumed.weights[name]) for name, tensor in whole.weights.items())


def test_the_teachers_weights_stay_as_they_are(
    bilstm: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in teacher_weights.items()}
    trained(bilstm, data, teacher_weights, tmp_path / "a")
    assert all(torch.equal(tensor, teacher_weights[name]) for name, tensor in before.items())


def test_it_also_learns_from_labels_alone(bilstm: TrialSpec, data: Any, tmp_path: Path) -> None:
    tuning = replace(bilstm.recipe.fine_tuning, distillation=None)
    alone = replace(bilstm, teacher=None, recipe=replace(bilstm.recipe, fine_tuning=tuning))
    assert trained(alone, data, None, tmp_path / "a").status == "complete"
