"""Every way of training a student that a study compares, as a change of the paper's progressive recipe.

Each function takes the scale's numbers and the progressive recipe, and keeps the number of student updates before
fine-tuning and the fine-tuning's; so any two of its results compare at equal training. `tang_alone` has none before.
"""

from dataclasses import replace

from model_zoo.student import Student
from search.matching import skip_map, uniform_map
from search.recipe import (
    FineTuning,
    KnowledgeTransfer,
    PatientStates,
    PreTraining,
    Recipe,
    TaskDistillation,
    TripleLoss,
)
from search.trial import TrialSpec
from studies.scales import Size, optimizer

FROM_SCRATCH_RATE = 2e-3
"""Of AdamW, for a student that is trained on tasks alone."""


def trained_by(spec: TrialSpec, recipe: Recipe, student: Student | None = None) -> TrialSpec:
    """A trial with another recipe (and student); without its teacher where the recipe asks it nothing."""
    teacher = spec.teacher if recipe.needs_teacher else None
    return replace(spec, recipe=recipe, teacher=teacher, student=student or spec.student)


def progressive(size: Size, recipe: Recipe) -> Recipe:
    """Block by block, then distillation: the recipe itself (PKT)."""
    return recipe


def bare(size: Size, recipe: Recipe) -> Recipe:
    """Labels alone (Sun et al. 2020, Table 9, "bare")."""
    return _one_stage(recipe, teacher_share=0.0)


def distilled(size: Size, recipe: Recipe) -> Recipe:
    """Pre-training distillation alone (Table 9, "+ PD")."""
    return _one_stage(recipe, teacher_share=recipe.pre_training.teacher_share)


def without_attention(size: Size, recipe: Recipe) -> Recipe:
    """Progressive transfer of feature maps alone, then distillation (Table 9, "+ PD + FMT")."""
    return replace(recipe, knowledge_transfer=replace(_transfer(recipe), attention_factor=0.0))


def joint(size: Size, recipe: Recipe) -> Recipe:
    """All blocks at once, then distillation (Table 8, JKT).

    The scale's own warm-up and decay: the progressive strategy has rates of its own, this one has not.
    """
    transfer = replace(_transfer(recipe), strategy="joint", optimizer=optimizer(size, size.transfer_rate))
    return replace(recipe, knowledge_transfer=transfer)


def auxiliary(size: Size, recipe: Recipe) -> Recipe:
    """All blocks' losses beside distillation's, one stage (Table 8, AKT)."""
    transfer = replace(_transfer(recipe), strategy="auxiliary", optimizer=recipe.pre_training.optimizer)
    return replace(recipe, knowledge_transfer=transfer)


def triple(size: Size, recipe: Recipe) -> Recipe:
    """Soft logits, labels and the cosine of the last states in pre-training (DistilBERT)."""
    labels = bare(size, recipe)
    return replace(labels, pre_training=replace(labels.pre_training, triple=TripleLoss()))


def tinybert(size: Size, recipe: Recipe, num_layers: int | None = None) -> Recipe:
    """General distillation on the corpus, then for every task an intermediate and a prediction stage (TinyBERT).

    Args:
        num_layers: blocks of the student; None is the teacher's number.
    """
    general = KnowledgeTransfer(
        steps=recipe.student_updates,
        batch_size=size.batch_size,
        optimizer=optimizer(size, size.transfer_rate),
        strategy="joint",
        feature_map_form="paper",
        feature_map_factor=1.0,
        mean_factor=0.0,
        variance_factor=0.0,
        attention_form="scores",
        embedding_factor=1.0,
        layer_map=uniform_map(num_layers or size.num_layers, size.num_layers),
        projection=True,
        copied="nothing",
    )
    tuning = recipe.fine_tuning
    first = replace(
        general,
        steps=tuning.steps // 2,
        batch_size=tuning.batch_size,
        optimizer=replace(tuning.optimizer, warmup=0.0, final_share=1.0),
    )
    second = TaskDistillation(teacher_share=1.0, logits="prediction", intermediate=first)
    return replace(
        recipe,
        knowledge_transfer=general,
        pre_training=PreTraining(steps=0, batch_size=size.batch_size, optimizer=recipe.pre_training.optimizer),
        fine_tuning=replace(tuning, steps=tuning.steps - first.steps, distillation=second),
    )


def patient(size: Size, recipe: Recipe, num_layers: int | None = None) -> Recipe:
    """Soft logits and first-token states in fine-tuning (PKD, skip).

    Args:
        num_layers: blocks of the student, two or more; None is the teacher's number.
    """
    states = PatientStates(factor=500.0, layer_map=skip_map(num_layers or size.num_layers, size.num_layers))
    return _tuned(size, recipe, TaskDistillation(teacher_share=0.7, temperature=10.0, patient=states))


def soft_logits(size: Size, recipe: Recipe) -> Recipe:
    """Soft logits in fine-tuning: what PKD adds to."""
    return _tuned(size, recipe, TaskDistillation(teacher_share=0.7, temperature=10.0))


def tang(size: Size, recipe: Recipe) -> Recipe:
    """Squared error on logits in fine-tuning (Tang et al. 2019)."""
    return _tuned(size, recipe, TaskDistillation(teacher_share=1.0, logits="squared_error"))


def tang_alone(size: Size, recipe: Recipe) -> Recipe:
    """Tang et al.'s whole training: squared error on logits, from random weights, with nothing before.

    Steps and batches are the fine-tuning's own. The rate is not: one that keeps pre-trained weights where they are
    moves random ones too little. Tang et al. use AdaDelta at 1.0, which is not built; this is the cpu scale's rate.
    """
    taught = tang(size, recipe)
    tuning = taught.fine_tuning
    tuning = replace(tuning, optimizer=replace(tuning.optimizer, learning_rate=FROM_SCRATCH_RATE))
    return replace(taught, pre_training=replace(taught.pre_training, steps=0), fine_tuning=tuning)


def well_read(size: Size, recipe: Recipe) -> Recipe:
    """Pre-training on labels, then the teacher's soft labels alone in fine-tuning (Turc et al. 2019, "PD")."""
    return _tuned(size, recipe, TaskDistillation(teacher_share=1.0))


def multi_task(size: Size, recipe: Recipe) -> Recipe:
    """One encoder for all tasks: what multi-task distillation adds to."""
    labels = bare(size, recipe)
    return replace(labels, fine_tuning=replace(labels.fine_tuning, multi_task=True))


def multi_task_distilled(size: Size, recipe: Recipe) -> Recipe:
    """One encoder for all tasks, labels and soft logits (MT-DNN)."""
    multi = multi_task(size, recipe)
    tuning: FineTuning = replace(multi.fine_tuning, distillation=TaskDistillation(teacher_share=0.5))
    return replace(multi, fine_tuning=tuning)


def _transfer(recipe: Recipe) -> KnowledgeTransfer:
    assert recipe.knowledge_transfer is not None
    return recipe.knowledge_transfer


def _one_stage(recipe: Recipe, *, teacher_share: float) -> Recipe:
    """All updates before fine-tuning in one pre-training."""
    pre_training = replace(recipe.pre_training, steps=recipe.student_updates, teacher_share=teacher_share)
    return replace(recipe, knowledge_transfer=None, pre_training=pre_training)


def _tuned(size: Size, recipe: Recipe, distillation: TaskDistillation) -> Recipe:
    """The bare student, whose fine-tuning learns from the teacher's."""
    labels = bare(size, recipe)
    return replace(labels, fine_tuning=replace(labels.fine_tuning, distillation=distillation))
