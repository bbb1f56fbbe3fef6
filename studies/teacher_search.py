"""How narrow may the teacher be? Width between blocks, inner width and heads (Sun et al. 2020, Table 2).

Rows (a), (c), (e), (f) and (g) of the table and BERT_LARGE, each trained as long as the paper's search trains: an
eighth of the sequences that the teacher itself sees. The letters are the paper's.
"""

from search.claim import Claim, beats
from search.data.spec import DataSpec
from search.paper_table import PaperTable
from search.study import Ablation, Scale, Study
from studies.judged import GAIN, NO_LOSS, judged
from studies.scales import sources
from studies.students import searched_bert_large, searched_teacher

ROWS = {
    "a": ("h_inter 1024, h_intra 1024, 16 heads", 1024, 1024, 16),
    "c": ("h_inter 512", 512, 1024, 16),
    "e": ("h_inter 256", 256, 1024, 16),
    "f": ("h_inter 512 and 4 heads: the one chosen, IB-BERT", 512, 1024, 4),
    "g": ("h_inter 512, 4 heads, h_intra 512", 512, 512, 4),
}
TABLE = "Sun et al. 2020, Table 2"

PAPER = PaperTable(
    source=TABLE,
    columns=("parameters (M)", "SQuAD v1.1 F1"),
    rows=(
        ("a", (356.0, 88.2)),
        ("c", (293.0, 88.1)),
        ("e", (262.0, 87.0)),
        ("f", (293.0, 88.3)),
        ("g", (92.0, 85.8)),
        ("BERT_LARGE", (334.0, None)),
    ),
    note="The table also has (b), (d), (h) and (i), which lie between or beyond these.",
)

CLAIMS = (
    Claim(
        name="h-inter-512-costs-nothing",
        says="h_inter can fall from 1024 to 512 without loss",
        source=f"{TABLE}, (a) 88.2 and (c) 88.1",
        test="equivalent",
        parts=(beats("c", "a"),),
        **NO_LOSS,
    ),
    Claim(
        name="h-inter-below-512-costs",
        says="h_inter below 512 costs accuracy",
        source=f"{TABLE}, (c) 88.1 and (e) 87.0",
        test="greater",
        parts=(beats("c", "e"),),
        **GAIN,
    ),
    Claim(
        name="h-intra-must-stay",
        says="the teacher's inner width must stay 1024",
        source=f"{TABLE}, (f) 88.3 and (g) 85.8",
        test="greater",
        parts=(beats("f", "g"),),
        **GAIN,
    ),
    Claim(
        name="four-heads-cost-nothing",
        says="16 heads can become 4 without loss",
        source=f"{TABLE}, (c) 88.1 and (f) 88.3",
        test="equivalent",
        parts=(beats("f", "c"),),
        **NO_LOSS,
    ),
    Claim(
        name="ib-bert-as-good-as-bert-large",
        says="IB-BERT is as good as BERT_LARGE or better",
        source="Sun et al. 2020, Table 9: IB-BERT_LARGE against BERT_LARGE, better on 3 of 4 tasks",
        test="not less",
        parts=(beats("f", "BERT_LARGE"),),
        **NO_LOSS,
    ),
)


def declare(scale: Scale, data: DataSpec) -> Ablation:
    """Six teachers; (a) is the baseline."""
    arms = {
        letter: (because, searched_teacher(scale, data, hidden_size=inter, bottleneck_size=intra, num_heads=heads))
        for letter, (because, inter, intra, heads) in ROWS.items()
    }
    large = ("no bottleneck: what the teacher replaces", searched_bert_large(scale, data))
    return judged(STUDY, scale, data, {**arms, "BERT_LARGE": large}, CLAIMS, paper=(PAPER,))


STUDY = Study(
    name="teacher-search",
    question="How narrow may the teacher be, inside its blocks and between them, and with how few heads?",
    sources=sources,
    declare=declare,
)
