"""A recipe that cannot be followed is refused when it is made."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from search.recipe import FineTuning, KnowledgeTransfer, Optimizer, PreTraining, Recipe

RATE = Optimizer(learning_rate=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Optimizer(learning_rate=0.0), "learning_rate must be above 0 and finite, got 0.0"),
        (lambda: Optimizer(learning_rate=float("inf")), "learning_rate must be above 0 and finite, got inf"),
        (lambda: Optimizer(learning_rate=float("nan")), "learning_rate must be above 0 and finite, got nan"),
        (lambda: Optimizer(learning_rate=1.0, warmup=1.5), "warmup must be a share in [0, 1], got 1.5"),
        (lambda: Optimizer(learning_rate=1.0, final_share=-0.1), "final_share must be a share in [0, 1], got -0.1"),
        (lambda: Optimizer(learning_rate=1.0, weight_decay=-1.0), "weight_decay must be at least 0, got -1.0"),
        (lambda: Optimizer(learning_rate=1.0, clip_norm=0.0), "clip_norm must be above 0, got 0.0"),
        (
            lambda: KnowledgeTransfer(steps=0, batch_size=1, optimizer=RATE),
            "steps of the knowledge transfer must be at least 1, got 0",
        ),
        (lambda: KnowledgeTransfer(steps=1, batch_size=0, optimizer=RATE), "batch_size must be at least 1, got 0"),
        (
            lambda: PreTraining(steps=-1, batch_size=1, optimizer=RATE),
            "steps of the pre-training must be at least 0, got -1",
        ),
        (lambda: PreTraining(steps=1, batch_size=-2, optimizer=RATE), "batch_size must be at least 1, got -2"),
        (
            lambda: PreTraining(steps=1, batch_size=1, optimizer=RATE, teacher_share=1.01),
            "teacher_share must be in [0, 1], got 1.01",
        ),
        (
            lambda: FineTuning(steps=0, batch_size=1, optimizer=RATE),
            "steps of the fine-tuning must be at least 1, got 0",
        ),
        (lambda: FineTuning(steps=1, batch_size=0, optimizer=RATE), "batch_size must be at least 1, got 0"),
    ],
)
def test_a_recipe_that_cannot_be_followed_says_why(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


def test_student_updates_are_the_steps_before_fine_tuning() -> None:
    fine_tuning = FineTuning(steps=100, batch_size=1, optimizer=RATE)
    pre_training = PreTraining(steps=30, batch_size=1, optimizer=RATE)
    transfer = KnowledgeTransfer(steps=12, batch_size=1, optimizer=RATE)
    assert Recipe(pre_training=pre_training, fine_tuning=fine_tuning).student_updates == 30
    both = Recipe(knowledge_transfer=transfer, pre_training=pre_training, fine_tuning=fine_tuning)
    assert both.student_updates == 42


def test_the_factors_of_knowledge_transfer_are_those_of_the_released_command() -> None:
    recipe = KnowledgeTransfer(steps=1, batch_size=1, optimizer=RATE)
    factors = (recipe.feature_map_factor, recipe.mean_factor, recipe.variance_factor, recipe.attention_factor)
    assert factors == (100.0, 5000.0, 5.0, 1.0)
