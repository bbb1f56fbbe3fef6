"""What does each objective add? Distillation, feature maps, attention (Sun et al. 2020, Table 9).

The paper's ladder, on its student with LayerNorm and gelu, and the teacher above it.
"""

from search.claim import Claim, beats, gains_more
from search.data.spec import DataSpec
from search.paper_table import PaperTable
from search.study import Ablation, Scale, Study
from studies import recipes
from studies.judged import GAIN, judged
from studies.scales import sources
from studies.students import ib_bert, mobilebert_without_opt

TABLE = "Sun et al. 2020, Table 9"

PAPER = PaperTable(
    source=TABLE,
    columns=("MNLI-m", "QNLI", "MRPC", "SST-2"),
    rows=(
        ("bare", (80.8, 88.2, 84.3, 90.1)),
        ("PD", (81.1, 88.9, 85.5, 91.7)),
        ("PD + FMT", (83.8, 91.1, 87.0, 92.2)),
        ("PD + FMT + AT", (84.4, 91.5, 87.0, 92.5)),
        ("IB-BERT", (87.0, 93.2, 87.3, 94.1)),
        ("BERT_LARGE", (86.6, 92.1, 87.8, 93.7)),
        ("BERT_BASE", (84.4, 91.1, 86.7, 92.9)),
    ),
    note="BERT_LARGE and BERT_BASE are not trained here.",
)

CLAIMS = (
    Claim(
        name="feature-maps-gain-most",
        says="feature-map transfer gains more than distillation before it and attention transfer after it",
        source=f"{TABLE}: MNLI +2.7 against +0.3 and +0.6",
        test="greater",
        parts=(
            gains_more(("PD + FMT", "PD"), ("PD", "bare")),
            gains_more(("PD + FMT", "PD"), ("PD + FMT + AT", "PD + FMT")),
        ),
        **GAIN,
    ),
    Claim(
        name="feature-maps-gain",
        says="feature-map transfer gains accuracy",
        source=f"{TABLE}: MNLI 81.1 to 83.8",
        test="greater",
        parts=(beats("PD + FMT", "PD"),),
        **GAIN,
    ),
    Claim(
        name="distillation-gains",
        says="pre-training distillation gains accuracy",
        source=f"{TABLE}: MNLI 80.8 to 81.1, SST-2 90.1 to 91.7",
        test="greater",
        parts=(beats("PD", "bare"),),
        **GAIN,
    ),
    Claim(
        name="attention-gains",
        says="attention transfer gains accuracy",
        source=f"{TABLE}: MNLI 83.8 to 84.4",
        test="greater",
        parts=(beats("PD + FMT + AT", "PD + FMT"),),
        **GAIN,
    ),
    Claim(
        name="the-teacher-stays-above",
        says="the student stays below its teacher",
        source=f"{TABLE}: MNLI 84.4 against 87.0",
        test="greater",
        parts=(beats("IB-BERT", "PD + FMT + AT"),),
        **GAIN,
    ),
)


def declare(scale: Scale, data: DataSpec) -> Ablation:
    """The ladder's four rungs and the teacher, which is trained once for all studies; the bare student is first."""
    arms = {
        "bare": ("labels alone", mobilebert_without_opt(scale, data, recipes.bare)),
        "PD": ("distillation", mobilebert_without_opt(scale, data, recipes.distilled)),
        "PD + FMT": ("and feature maps", mobilebert_without_opt(scale, data, recipes.without_attention)),
        "PD + FMT + AT": ("and attention", mobilebert_without_opt(scale, data)),
        "IB-BERT": ("the teacher itself", ib_bert(scale, data)),
    }
    return judged(STUDY, scale, data, arms, CLAIMS, paper=(PAPER,))


STUDY = Study(
    name="training-objectives",
    question="What do distillation, feature maps and attention each add to the student?",
    sources=sources,
    declare=declare,
)
