"""Width against stacked feed-forwards at equal size (Sun et al. 2020, Table 3).

Four students of about the same parameter count, without a teacher, as the paper ran them. `student-search` asks the
same question openly.
"""

from search.claim import Claim, beats
from search.data.spec import DataSpec
from search.paper_table import PaperTable
from search.study import Ablation, Equal, Scale, Study
from studies.judged import GAIN, NO_LOSS, judged
from studies.scales import sources
from studies.students import grid_student

ROWS = {
    "128, 4 FFN": ("4 heads: the one chosen, MobileBERT", 128, 4),
    "192, 1 FFN": ("6 heads: all width, no stack", 192, 1),
    "160, 2 FFN": ("5 heads: between", 160, 2),
    "96, 8 FFN": ("3 heads: all stack", 96, 8),
}
TABLE = "Sun et al. 2020, Table 3"

PAPER = PaperTable(
    source=TABLE,
    columns=("attention's parameters (M)", "feed-forward's parameters (M)", "SQuAD v1.1 F1"),
    rows=(
        ("192, 1 FFN", (8.0, 7.0, 82.6)),
        ("160, 2 FFN", (6.5, 10.0, 83.4)),
        ("128, 4 FFN", (5.0, 12.5, 83.4)),
        ("96, 8 FFN", (4.0, 14.0, 81.6)),
    ),
)

CLAIMS = (
    Claim(
        name="the-middle-is-best",
        says="two or four stacked feed-forwards (0.4 to 0.6 of attention's parameters per feed-forward's) beat one and "
        "eight",
        source=f"{TABLE}: 83.4 and 83.4 against 82.6 and 81.6",
        test="greater",
        parts=(
            beats("160, 2 FFN", "192, 1 FFN"),
            beats("160, 2 FFN", "96, 8 FFN"),
            beats("128, 4 FFN", "192, 1 FFN"),
            beats("128, 4 FFN", "96, 8 FFN"),
        ),
        **GAIN,
    ),
    Claim(
        name="two-and-four-tie",
        says="four stacked feed-forwards at 128 are as good as two at 160",
        source=f"{TABLE}: 83.4 twice",
        test="equivalent",
        parts=(beats("128, 4 FFN", "160, 2 FFN"),),
        **NO_LOSS,
    ),
)


def declare(scale: Scale, data: DataSpec) -> Ablation:
    """The four rows; the one that the paper chose is the baseline."""
    arms = {
        name: (because, grid_student(scale, data, bottleneck_size=intra, num_feed_forward=stacked))
        for name, (because, intra, stacked) in ROWS.items()
    }
    equal = (Equal(what="parameters", tolerance=0.05), Equal(what="student_updates", tolerance=0.0))
    return judged(STUDY, scale, data, arms, CLAIMS, equal=equal, paper=(PAPER,))


STUDY = Study(
    name="student-grid",
    question="At equal size, should a student be wide or have many stacked feed-forwards?",
    sources=sources,
    declare=declare,
)
