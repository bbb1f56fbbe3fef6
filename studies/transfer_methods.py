"""Which way of learning from a teacher helps most, at equal numbers of student updates?

The paper's strategies (Sun et al. 2020, Table 8), its ladder of objectives (Table 9), and the objectives of the systems
it is compared with (Table 4), all on the paper's student and one teacher. Student updates before fine-tuning are equal
in all arms, and so are fine-tuning's; TinyBERT spends half of the latter on its intermediate stage. The student's shape
is the paper's in every arm: what is compared is how it learns, not what DistilBERT, TinyBERT or the BiLSTM are.
"""

from collections.abc import Callable
from dataclasses import replace

from search.data.spec import DataSpec
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
from search.study import Ablation, Arm, Equal, Scale, Study
from search.trial import TrialSpec
from studies.scales import SIZES, Size, latency_case, optimizer, scaling, sources, student_trial

SMALLEST_EFFECT = 1.0
NUM_SEEDS = 9
"""The smallest p of twelve contrasts with n seeds is 12 x 2^(1 - n): 0.047 with nine."""


def declare(scale: Scale, data: DataSpec) -> Ablation:
    """Thirteen arms; the bare student is the baseline of every contrast."""
    size = SIZES[scale]
    progressive = student_trial(scale, data, 0, average_heads=False)
    return Ablation(
        name=STUDY.name,
        question=STUDY.question,
        scale=scale,
        arms=tuple(
            Arm(name=name, because=because, spec=_with(progressive, change(size, progressive.recipe)))
            for name, (because, change) in ARMS.items()
        ),
        seeds=(0, 1) if scale == "smoke" else tuple(range(NUM_SEEDS)),
        smallest_effect=SMALLEST_EFFECT,
        latency=latency_case(scale, data),
        latency_rounds=size.latency_rounds,
        equal=(Equal(what="parameters", tolerance=0.0), Equal(what="student_updates", tolerance=0.0)),
        scaling=scaling(scale, data),
    )


def _with(progressive: TrialSpec, recipe: Recipe) -> TrialSpec:
    return replace(progressive, recipe=recipe, teacher=progressive.teacher if recipe.needs_teacher else None)


def _transfer(recipe: Recipe) -> KnowledgeTransfer:
    assert recipe.knowledge_transfer is not None
    return recipe.knowledge_transfer


def _bare(size: Size, recipe: Recipe) -> Recipe:
    return _one_stage(size, recipe, teacher_share=0.0)


def _one_stage(size: Size, recipe: Recipe, *, teacher_share: float) -> Recipe:
    """All updates before fine-tuning in one pre-training."""
    steps = recipe.student_updates
    pre_training = replace(recipe.pre_training, steps=steps, teacher_share=teacher_share)
    return replace(recipe, knowledge_transfer=None, pre_training=pre_training)


def _distilled(size: Size, recipe: Recipe) -> Recipe:
    return _one_stage(size, recipe, teacher_share=recipe.pre_training.teacher_share)


def _without_attention(size: Size, recipe: Recipe) -> Recipe:
    return replace(recipe, knowledge_transfer=replace(_transfer(recipe), attention_factor=0.0))


def _joint(size: Size, recipe: Recipe) -> Recipe:
    """The scale's own warm-up and decay: the progressive strategy has rates of its own, this one has not."""
    joint = replace(_transfer(recipe), strategy="joint", optimizer=optimizer(size, size.transfer_rate))
    return replace(recipe, knowledge_transfer=joint)


def _auxiliary(size: Size, recipe: Recipe) -> Recipe:
    transfer = replace(_transfer(recipe), strategy="auxiliary", optimizer=recipe.pre_training.optimizer)
    return replace(recipe, knowledge_transfer=transfer)


def _progressive(size: Size, recipe: Recipe) -> Recipe:
    return recipe


def _triple(size: Size, recipe: Recipe) -> Recipe:
    bare = _bare(size, recipe)
    return replace(bare, pre_training=replace(bare.pre_training, triple=TripleLoss()))


def _tinybert(size: Size, recipe: Recipe) -> Recipe:
    """General distillation on the corpus, then for every task an intermediate and a prediction stage."""
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
        layer_map=uniform_map(size.num_layers, size.num_layers),
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


def _patient(size: Size, recipe: Recipe) -> Recipe:
    states = PatientStates(factor=500.0, layer_map=skip_map(size.num_layers, size.num_layers))
    return _tuned(size, recipe, TaskDistillation(teacher_share=0.7, temperature=10.0, patient=states))


def _soft(size: Size, recipe: Recipe) -> Recipe:
    return _tuned(size, recipe, TaskDistillation(teacher_share=0.7, temperature=10.0))


def _tang(size: Size, recipe: Recipe) -> Recipe:
    return _tuned(size, recipe, TaskDistillation(teacher_share=1.0, logits="squared_error"))


def _multi_task(size: Size, recipe: Recipe) -> Recipe:
    bare = _bare(size, recipe)
    return replace(bare, fine_tuning=replace(bare.fine_tuning, multi_task=True))


def _multi_task_distilled(size: Size, recipe: Recipe) -> Recipe:
    multi = _multi_task(size, recipe)
    tuning: FineTuning = replace(multi.fine_tuning, distillation=TaskDistillation(teacher_share=0.5))
    return replace(multi, fine_tuning=tuning)


def _tuned(size: Size, recipe: Recipe, distillation: TaskDistillation) -> Recipe:
    """The bare student, whose fine-tuning learns from the teacher's."""
    bare = _bare(size, recipe)
    return replace(bare, fine_tuning=replace(bare.fine_tuning, distillation=distillation))


ARMS: dict[str, tuple[str, Callable[[Size, Recipe], Recipe]]] = {
    "bare": ("labels alone (Table 9, first row)", _bare),
    "PD": ("pre-training distillation alone (Table 9)", _distilled),
    "PD + FMT": ("progressive transfer without attention (Table 9)", _without_attention),
    "AKT": ("all blocks' losses beside distillation's (Table 8)", _auxiliary),
    "JKT": ("all blocks at once, then distillation (Table 8)", _joint),
    "PKT": ("block by block, then distillation (Tables 8 and 9, last row)", _progressive),
    "DistilBERT loss": ("soft logits, labels and cosine in pre-training", _triple),
    "TinyBERT": ("maps, embeddings and scores on the corpus, then on the task, then its logits", _tinybert),
    "PKD": ("soft logits and first-token states in fine-tuning", _patient),
    "soft logits": ("what PKD adds to", _soft),
    "Tang": ("squared error on logits in fine-tuning", _tang),
    "multi-task": ("what multi-task distillation adds to", _multi_task),
    "multi-task distillation": ("one encoder for all tasks, labels and soft logits (MT-DNN)", _multi_task_distilled),
}

STUDY = Study(
    name="transfer-methods",
    question="Which way of learning from a teacher helps most at equal numbers of student updates?",
    sources=sources,
    declare=declare,
)
