"""What does 8-bit quantisation cost? (Sun et al. 2020, Table 6)

MobileBERT and MobileBERT_TINY, each scored in float32 and as the int8 file that would be deployed (dynamic
quantisation of the folded graph in ONNX Runtime; the paper's is TensorFlow Lite's). Pairs are within a seed: the same
weights, twice.
"""

from search.claim import Claim, Term
from search.data.spec import DataSpec
from search.latency.case import Runtime
from search.paper_table import PaperTable
from search.study import Ablation, Equal, Scale, Study
from studies.judged import judged
from studies.scales import sources
from studies.students import mobilebert, mobilebert_tiny

TABLE = "Sun et al. 2020, Table 6"
PAPER = PaperTable(
    source=TABLE,
    columns=("MNLI-m", "QNLI", "MRPC", "SST-2", "SQuAD v1.1 F1"),
    rows=(
        ("MobileBERT", (83.9, 91.0, 87.5, 92.1, 90.0)),
        ("MobileBERT, 8 bits", (83.9, 90.8, 87.0, 91.9, 90.0)),
        ("MobileBERT_TINY", (82.0, 89.9, 86.7, 91.6, 88.6)),
        ("MobileBERT_TINY, 8 bits", (82.0, 89.8, 86.3, 91.6, 88.4)),
    ),
)
RUNTIME: Runtime = "onnx-int8"


def declare(scale: Scale, data: DataSpec) -> Ablation:
    """Two arms; MobileBERT is the baseline."""
    arms = {
        "MobileBERT": ("the paper's student", mobilebert(scale, data)),
        "MobileBERT_TINY": ("the thinner one", mobilebert_tiny(scale, data)),
    }
    return judged(
        STUDY,
        scale,
        data,
        arms,
        tuple(_loses_little(arm, data) for arm in arms),
        equal=(Equal(what="student_updates", tolerance=0.0),),
        paper=(PAPER,),
        score_runtimes=(RUNTIME,),
    )


def _loses_little(arm: str, data: DataSpec) -> Claim:
    """At most half a point on any task."""
    metrics = [f"{task.name}/{task.metric}" for task in data.tasks]
    return Claim(
        name=f"{arm}-loses-at-most-half-a-point".replace("_", "-").lower(),
        says=f"8 bits cost {arm} at most half a point on any task",
        source=f"{TABLE}: no loss is above 0.5",
        test="not less",
        margin=0.5,
        margin_because="the largest loss in the paper's table",
        parts=tuple(
            (
                Term(arm=arm, weight=1.0, metric=f"{RUNTIME}/{metric}"),
                Term(arm=arm, weight=-1.0, metric=metric),
            )
            for metric in metrics
        ),
    )


STUDY = Study(
    name="quantisation",
    question="What does 8-bit quantisation cost, task by task?",
    sources=sources,
    declare=declare,
)
