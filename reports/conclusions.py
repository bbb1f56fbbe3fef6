"""The eleven conclusions of the MobileBERT paper, each with the claims of the shipped studies that speak to it.

A conclusion has no verdict of its own: its claims have, and a reader sees all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """One conclusion of Sun et al. 2020."""

    says: str
    source: str
    claims: tuple[str, ...]
    """As `study/claim`."""


CONCLUSIONS = (
    Conclusion(
        says="The teacher's width between blocks can fall from 1024 to 512 without loss, but not further",
        source="Table 2, rows a to e",
        claims=("teacher-search/h-inter-512-costs-nothing", "teacher-search/h-inter-below-512-costs"),
    ),
    Conclusion(
        says="The teacher's width inside its blocks must stay 1024",
        source="Table 2, rows f to i",
        claims=("teacher-search/h-intra-must-stay",),
    ),
    Conclusion(
        says="The teacher's 16 heads can become 4",
        source="Table 2, rows c and f",
        claims=("teacher-search/four-heads-cost-nothing",),
    ),
    Conclusion(
        says="At equal size a student is best where attention has 0.4 to 0.6 of the feed-forwards' parameters",
        source="Table 3",
        claims=("student-grid/the-middle-is-best", "student-grid/two-and-four-tie"),
    ),
    Conclusion(
        says="NoNorm saves far more latency than relu, and FLOPs, which do not change, do not predict latency",
        source="Table 7",
        claims=(
            "operational-optimisations/no-norm-saves-latency",
            "operational-optimisations/relu-saves-latency",
            "operational-optimisations/no-norm-saves-more",
            "operational-optimisations/flops-do-not-predict-latency",
        ),
    ),
    Conclusion(
        says="The two operational optimisations cost some accuracy",
        source="Tables 4 and 5",
        claims=("operational-optimisations/the-optimisations-cost-accuracy",),
    ),
    Conclusion(
        says="Progressive transfer is at least as good as joint transfer, and both beat transfer beside distillation",
        source="Table 8",
        claims=(
            "training-strategies/progressive-at-least-joint",
            "training-strategies/joint-beats-auxiliary",
            "training-strategies/progressive-beats-auxiliary",
            "training-strategies/the-auxiliary-gap-is-the-large-one",
        ),
    ),
    Conclusion(
        says="Feature-map transfer gains most; distillation and attention transfer gain less",
        source="Table 9",
        claims=(
            "training-objectives/feature-maps-gain-most",
            "training-objectives/feature-maps-gain",
            "training-objectives/distillation-gains",
            "training-objectives/attention-gains",
        ),
    ),
    Conclusion(
        says="IB-BERT is as good as BERT_LARGE, and the student stays below its teacher",
        source="Table 9",
        claims=("teacher-search/ib-bert-as-good-as-bert-large", "training-objectives/the-teacher-stays-above"),
    ),
    Conclusion(
        says="8-bit quantisation costs at most half a point on any task",
        source="Table 6",
        claims=(
            "quantisation/mobilebert-loses-at-most-half-a-point",
            "quantisation/mobilebert-tiny-loses-at-most-half-a-point",
        ),
    ),
    Conclusion(
        says="At equal size, losing width and keeping depth beats losing depth",
        source="Tables 4 and 5",
        claims=("systems/thin-beats-shallow", "systems/mobilebert-beats-pkd", "systems/tiny-costs-accuracy"),
    ),
)
"""In the order of the paper's tables that the studies follow."""


def concluded(judged: Sequence[tuple[str, Verdict]]) -> list[tuple[int, Conclusion, tuple[Verdict, ...]]]:
    """Number, conclusion and verdicts of each conclusion that some claim speaks to.

    Args:
        judged: the name of the study with each verdict.
    """
    by_claim = {f"{study}/{verdict.claim.name}": verdict for study, verdict in judged}
    found = []
    for number, conclusion in enumerate(CONCLUSIONS, start=1):
        spoken = tuple(by_claim[claim] for claim in conclusion.claims if claim in by_claim)
        if spoken:
            found.append((number, conclusion, spoken))
    return found
