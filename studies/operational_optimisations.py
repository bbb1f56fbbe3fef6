"""What do NoNorm and relu save, and what do they cost? (Sun et al. 2020, Table 7; Table 4, with and without OPT)

The four combinations on the paper's student with its whole training. FLOPs are the same in all four.
"""

from dataclasses import replace
from typing import Any

from model_zoo.config import Activation, Norm
from search.claim import Claim, beats
from search.data.spec import DataSpec
from search.paper_table import PaperTable
from search.study import Ablation, Equal, Scale, Study
from studies.judged import GAIN, NUM_SESSIONS, judged
from studies.scales import sources
from studies.students import mobilebert

FORMS: dict[str, tuple[str, Norm, Activation]] = {
    "LayerNorm & gelu": ("without the optimisations", "layer_norm", "gelu"),
    "LayerNorm & relu": ("relu alone", "layer_norm", "relu"),
    "NoNorm & gelu": ("NoNorm alone", "no_norm", "gelu"),
    "NoNorm & relu": ("both: MobileBERT", "no_norm", "relu"),
}
TABLE = "Sun et al. 2020, Table 7"
RATIO: dict[str, Any] = {
    "margin": 0.02,
    "margin_because": "two percent of the slowest form's latency: about what a session can tell",
}

PAPER = (
    PaperTable(
        source=TABLE,
        columns=("latency (ms, Pixel 4)", "ratio"),
        rows=(
            ("LayerNorm & gelu", (192.0, 1.0)),
            ("LayerNorm & relu", (167.0, 0.87)),
            ("NoNorm & gelu", (92.0, 0.48)),
            ("NoNorm & relu", (62.0, 0.32)),
        ),
    ),
    PaperTable(
        source="Sun et al. 2020, Tables 4 and 5",
        columns=("GLUE", "SQuAD v1.1 F1", "SQuAD v2.0 F1"),
        rows=(("LayerNorm & gelu", (78.5, 90.3, 80.2)), ("NoNorm & relu", (77.7, 90.0, 79.2))),
    ),
)

CLAIMS = (
    Claim(
        name="no-norm-saves-latency",
        says="NoNorm in place of LayerNorm saves latency",
        source=f"{TABLE}: 192 to 92 ms",
        test="greater",
        parts=(beats("LayerNorm & gelu", "NoNorm & gelu", "latency_ratio"),),
        blocks="sessions",
        **RATIO,
    ),
    Claim(
        name="relu-saves-latency",
        says="relu in place of gelu saves latency",
        source=f"{TABLE}: 192 to 167 ms",
        test="greater",
        parts=(beats("LayerNorm & gelu", "LayerNorm & relu", "latency_ratio"),),
        blocks="sessions",
        **RATIO,
    ),
    Claim(
        name="no-norm-saves-more",
        says="NoNorm saves far more latency than relu",
        source=f"{TABLE}: 92 ms against 167 ms",
        test="greater",
        parts=(beats("LayerNorm & relu", "NoNorm & gelu", "latency_ratio"),),
        blocks="sessions",
        **RATIO,
    ),
    Claim(
        name="flops-do-not-predict-latency",
        says="at the same FLOPs, latency differs",
        source=f"{TABLE}: 5.7B FLOPs at 192 and at 62 ms",
        test="greater",
        parts=(beats("LayerNorm & gelu", "NoNorm & relu", "latency_ratio"),),
        blocks="sessions",
        **RATIO,
    ),
    Claim(
        name="the-optimisations-cost-accuracy",
        says="the two optimisations together cost accuracy",
        source="Sun et al. 2020, Table 4: GLUE 78.5 to 77.7; Table 5: SQuAD v1.1 F1 90.3 to 90.0",
        test="greater",
        parts=(beats("LayerNorm & gelu", "NoNorm & relu"),),
        **GAIN,
    ),
)


def declare(scale: Scale, data: DataSpec) -> Ablation:
    """Four arms; the student without the optimisations is the baseline and the latency reference."""
    spec = mobilebert(scale, data)
    arms = {
        name: (because, replace(spec, student=replace(spec.encoder, norm=norm, activation=activation)))
        for name, (because, norm, activation) in FORMS.items()
    }
    # NoNorm has the parameters of LayerNorm: a scale and a shift.
    equal = tuple(Equal(what=what, tolerance=0.0) for what in ("parameters", "flops", "student_updates"))
    return judged(STUDY, scale, data, arms, CLAIMS, equal=equal, paper=PAPER, latency_sessions=NUM_SESSIONS)


STUDY = Study(
    name="operational-optimisations",
    question="What do NoNorm and relu save in latency, and what do they cost in accuracy?",
    sources=sources,
    declare=declare,
)
