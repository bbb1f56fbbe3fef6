"""In which order should knowledge be transferred? (Sun et al. 2020, Table 8)"""

from search.claim import Claim, beats, gains_more
from search.data.spec import DataSpec
from search.paper_table import PaperTable
from search.study import Ablation, Equal, Scale, Study
from studies import recipes
from studies.judged import GAIN, NO_LOSS, judged
from studies.scales import sources
from studies.students import mobilebert

TABLE = "Sun et al. 2020, Table 8"

PAPER = PaperTable(
    source=TABLE,
    columns=("MNLI-m", "QNLI", "MRPC", "SST-2", "SQuAD v1.1 F1"),
    rows=(
        ("AKT", (83.0, 90.3, 86.8, 91.9, 88.2)),
        ("JKT", (83.5, 90.5, 87.5, 92.0, 89.7)),
        ("PKT", (83.9, 91.0, 87.5, 92.1, 90.0)),
    ),
)

CLAIMS = (
    Claim(
        name="progressive-at-least-joint",
        says="progressive transfer is as good as joint transfer or better",
        source=f"{TABLE}: SQuAD 90.0 against 89.7, MNLI 83.9 against 83.5",
        test="not less",
        parts=(beats("PKT", "JKT"),),
        **NO_LOSS,
    ),
    Claim(
        name="joint-beats-auxiliary",
        says="joint transfer before distillation beats transfer beside it",
        source=f"{TABLE}: SQuAD 89.7 against 88.2",
        test="greater",
        parts=(beats("JKT", "AKT"),),
        **GAIN,
    ),
    Claim(
        name="progressive-beats-auxiliary",
        says="progressive transfer beats transfer beside distillation",
        source=f"{TABLE}: SQuAD 90.0 against 88.2",
        test="greater",
        parts=(beats("PKT", "AKT"),),
        **GAIN,
    ),
    Claim(
        name="the-auxiliary-gap-is-the-large-one",
        says="separating transfer from distillation gains more than going block by block",
        source=f"{TABLE}: SQuAD 88.2 to 89.7 against 89.7 to 90.0",
        test="greater",
        parts=(gains_more(("JKT", "AKT"), ("PKT", "JKT")),),
        **GAIN,
    ),
)


def declare(scale: Scale, data: DataSpec) -> Ablation:
    """Three arms on the paper's student with NoNorm and relu; auxiliary transfer is the baseline."""
    arms = {
        "AKT": ("beside distillation", mobilebert(scale, data, recipes.auxiliary)),
        "JKT": ("all blocks at once, then distillation", mobilebert(scale, data, recipes.joint)),
        "PKT": ("block by block, then distillation", mobilebert(scale, data)),
    }
    equal = (Equal(what="parameters", tolerance=0.0), Equal(what="student_updates", tolerance=0.0))
    return judged(STUDY, scale, data, arms, CLAIMS, equal=equal, paper=(PAPER,))


STUDY = Study(
    name="training-strategies",
    question="Should knowledge be transferred beside distillation, before it, or block by block?",
    sources=sources,
    declare=declare,
)
