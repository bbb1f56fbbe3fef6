"""Which way of learning from a teacher helps most, at equal numbers of student updates?

The paper's strategies (Sun et al. 2020, Table 8), its ladder of objectives (Table 9), and the objectives of the systems
it is compared with (Table 4), all on the paper's student and one teacher. Student updates before fine-tuning are equal
in all arms, and so are fine-tuning's; TinyBERT spends half of the latter on its intermediate stage. The student's shape
is the paper's in every arm: what is compared is how it learns, not what DistilBERT, TinyBERT or the BiLSTM are.
"""

from collections.abc import Callable

from search.data.spec import DataSpec
from search.recipe import Recipe
from search.study import Ablation, Arm, Equal, Scale, Study
from studies import recipes
from studies.scales import SIZES, Size, latency_case, scaling, sources, student_trial

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
            Arm(name=name, because=because, spec=recipes.trained_by(progressive, change(size, progressive.recipe)))
            for name, (because, change) in ARMS.items()
        ),
        seeds=(0, 1) if scale == "smoke" else tuple(range(NUM_SEEDS)),
        smallest_effect=SMALLEST_EFFECT,
        latency=latency_case(scale, data),
        latency_rounds=size.latency_rounds,
        equal=(Equal(what="parameters", tolerance=0.0), Equal(what="student_updates", tolerance=0.0)),
        scaling=scaling(scale, data),
    )


ARMS: dict[str, tuple[str, Callable[[Size, Recipe], Recipe]]] = {
    "bare": ("labels alone (Table 9, first row)", recipes.bare),
    "PD": ("pre-training distillation alone (Table 9)", recipes.distilled),
    "PD + FMT": ("progressive transfer without attention (Table 9)", recipes.without_attention),
    "AKT": ("all blocks' losses beside distillation's (Table 8)", recipes.auxiliary),
    "JKT": ("all blocks at once, then distillation (Table 8)", recipes.joint),
    "PKT": ("block by block, then distillation (Tables 8 and 9, last row)", recipes.progressive),
    "DistilBERT loss": ("soft logits, labels and cosine in pre-training", recipes.triple),
    "TinyBERT": ("maps, embeddings and scores on the corpus, then on the task, then its logits", recipes.tinybert),
    "PKD": ("soft logits and first-token states in fine-tuning", recipes.patient),
    "soft logits": ("what PKD adds to", recipes.soft_logits),
    "Tang": ("squared error on logits in fine-tuning", recipes.tang),
    "multi-task": ("what multi-task distillation adds to", recipes.multi_task),
    "multi-task distillation": (
        "one encoder for all tasks, labels and soft logits (MT-DNN)",
        recipes.multi_task_distilled,
    ),
}

STUDY = Study(
    name="transfer-methods",
    question="Which way of learning from a teacher helps most at equal numbers of student updates?",
    sources=sources,
    declare=declare,
)
