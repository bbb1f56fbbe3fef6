"""Does knowledge transfer help, at equal numbers of student updates?

The paper's student with progressive transfer and distillation against the same student trained on labels alone
(Sun et al. 2020, Table 9, first row against last). Student updates before fine-tuning are equal; the teacher's training
is not counted, as in the paper.
"""

from dataclasses import replace

from search.data.spec import DataSpec
from search.recipe import PreTraining, Recipe
from search.study import Ablation, Arm, Equal, Scale, Study
from search.trial import TrialSpec
from studies.scales import SIZES, latency_case, optimizer, scaling, sources, student_trial, student_tuning

SMALLEST_EFFECT = 1.0


def declare(scale: Scale, data: DataSpec) -> Ablation:
    """Two arms; six seeds outside smoke, of which the smallest possible p is 2^-5 = 0.031."""
    size = SIZES[scale]
    transferred = student_trial(scale, data, 0, average_heads=False)
    return Ablation(
        name=STUDY.name,
        question=STUDY.question,
        scale=scale,
        arms=(
            Arm(name="bare", because="what the student learns from labels alone", spec=_bare(scale, transferred)),
            Arm(name="transfer", because="feature maps, attention and distillation", spec=transferred),
        ),
        seeds=(0, 1) if scale == "smoke" else (0, 1, 2, 3, 4, 5),
        smallest_effect=SMALLEST_EFFECT,
        latency=latency_case(scale, data),
        latency_rounds=size.latency_rounds,
        latency_control_width=size.latency_control_width,
        equal=(Equal(what="parameters", tolerance=0.0), Equal(what="student_updates", tolerance=0.0)),
        scaling=scaling(scale, data),
    )


def _bare(scale: Scale, transferred: TrialSpec) -> TrialSpec:
    """The same student, all its updates on masked language and next sentence with labels."""
    size = SIZES[scale]
    steps = transferred.recipe.student_updates
    recipe = Recipe(
        pre_training=PreTraining(
            steps=steps, batch_size=size.batch_size, optimizer=optimizer(size, size.distillation_rate)
        ),
        fine_tuning=student_tuning(size),
    )
    return replace(transferred, recipe=recipe, teacher=None)


STUDY = Study(
    name="knowledge-transfer",
    question="Does knowledge transfer raise the student's accuracy at equal numbers of student updates?",
    sources=sources,
    declare=declare,
)
