"""Thin and deep against wide and shallow, at the same budget of updates (Sun et al. 2020, Tables 4 and 5).

MobileBERT and MobileBERT_TINY beside the systems that the paper compares them with, each with its own training, all
from one teacher. DistilBERT loses depth until it is as large as MobileBERT; PKD keeps two blocks in three (half of them
where there are more) and is larger, as in the paper (52.2M against 25.3M); TinyBERT keeps a third of the blocks and is
as large as MobileBERT_TINY; Well-read keeps all of them and is narrow. None starts from the teacher's blocks, which
have other shapes. The BiLSTM of Tang et al. is as large as MobileBERT_TINY and has the same fine-tuning; it has no
blocks that a pre-training could teach, so that it alone is not trained before. The paper's tables do not have it.
"""

from functools import partial

from search.claim import Claim, beats
from search.data.spec import DataSpec
from search.paper_table import PaperTable
from search.study import Ablation, Equal, Scale, Study
from studies import recipes
from studies.judged import GAIN, judged
from studies.scales import SIZES, sources
from studies.students import bilstm, mobilebert, mobilebert_tiny, narrow_bert, shallow_bert

TABLES = "Sun et al. 2020, Tables 4 and 5"
PAPER = PaperTable(
    source=TABLES,
    columns=("parameters (M)", "MNLI-m", "QNLI", "SST-2", "SQuAD v1.1 F1"),
    rows=(
        ("MobileBERT", (25.3, 83.3, 90.6, 92.8, 90.0)),
        ("MobileBERT_TINY", (15.1, 81.5, 89.5, 91.7, 88.6)),
        ("DistilBERT", (52.2, 78.9, 85.2, 91.4, 81.2)),
        ("PKD", (52.2, 79.9, 85.1, 89.4, None)),
        ("TinyBERT", (14.5, 82.5, 87.7, 92.6, 82.1)),
    ),
    note="DistilBERT and PKD with 4 of 12 blocks. TinyBERT and PKD learn from fine-tuned teachers, here as there.",
)

CLAIMS = (
    Claim(
        name="thin-beats-shallow",
        says="at equal size, a student that keeps the teacher's depth beats one that loses depth",
        source=f"{TABLES}: MobileBERT against DistilBERT, MobileBERT_TINY against TinyBERT",
        test="greater",
        parts=(beats("MobileBERT", "DistilBERT"), beats("MobileBERT_TINY", "TinyBERT")),
        **GAIN,
    ),
    Claim(
        name="mobilebert-beats-pkd",
        says="MobileBERT beats PKD, which is about twice as large",
        source=f"{TABLES}: MNLI 83.3 against 79.9",
        test="greater",
        parts=(beats("MobileBERT", "PKD"),),
        **GAIN,
    ),
    Claim(
        name="tiny-costs-accuracy",
        says="MobileBERT_TINY is worse than MobileBERT",
        source=f"{TABLES}: GLUE 75.8 against 77.7",
        test="greater",
        parts=(beats("MobileBERT", "MobileBERT_TINY"),),
        **GAIN,
    ),
)


def declare(scale: Scale, data: DataSpec) -> Ablation:
    """Six encoders and a BiLSTM; MobileBERT is the baseline."""
    depth = SIZES[scale].num_layers
    thin, tiny = mobilebert(scale, data), mobilebert_tiny(scale, data)
    half, third = max(2, depth // 2), max(1, depth // 3)
    patient = partial(recipes.patient, num_layers=half)
    tinybert = partial(recipes.tinybert, num_layers=third)
    arms = {
        "MobileBERT": ("thin, deep, transferred block by block", thin),
        "MobileBERT_TINY": ("thinner", tiny),
        "DistilBERT": ("depth lost, size kept", shallow_bert(scale, data, recipes.triple, like=thin.encoder)),
        "PKD": ("depth lost, larger", shallow_bert(scale, data, patient, like=thin.encoder, num_layers=half)),
        "TinyBERT": ("depth and width lost", narrow_bert(scale, data, tinybert, like=tiny.encoder, num_layers=third)),
        "Well-read": (
            "width lost, no bottleneck",
            narrow_bert(scale, data, recipes.well_read, like=thin.encoder, num_layers=depth),
        ),
    }
    encoders = tuple(arms)
    arms["BiLSTM"] = ("no encoder: a recurrent network, taught on tasks alone", bilstm(scale, data, like=tiny.encoder))
    equal = [
        Equal(what="student_updates", tolerance=0.0, arms=encoders),
        Equal(what="parameters", tolerance=0.1, arms=("MobileBERT_TINY", "TinyBERT")),
        Equal(what="parameters", tolerance=0.05, arms=("MobileBERT_TINY", "BiLSTM")),
    ]
    if scale != "smoke":  # two blocks leave too few depths to choose from
        equal.append(Equal(what="parameters", tolerance=0.15, arms=("MobileBERT", "DistilBERT", "Well-read")))
    return judged(STUDY, scale, data, arms, CLAIMS, equal=tuple(equal), paper=(PAPER,))


STUDY = Study(
    name="systems",
    question="Does keeping depth and losing width beat losing depth, system against system?",
    sources=sources,
    declare=declare,
)
