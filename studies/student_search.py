"""Which bottleneck width, head count and number of stacked feed-forwards give the best accuracy for the latency?

The open form of Sun et al. 2020, Table 3: there h_intra, heads and stacks change together at equal parameters; here
they vary freely, h_inter being the teacher's. Head counts vary, so every trial compares head-averaged attention maps.
"""

from dataclasses import replace

from model_zoo.config import EncoderConfig
from search.data.spec import DataSpec
from search.study import Scale, Search, Study, Suggests
from studies.scales import SIZES, latency_case, scaling, sources, student_trial

SEED = 0


def declare(scale: Scale, data: DataSpec) -> Search:
    """The search at a scale."""
    size = SIZES[scale]
    baseline = student_trial(scale, data, SEED, average_heads=True)
    paper = baseline.encoder
    eighth = paper.hidden_size // 8

    def space(trial: Suggests) -> EncoderConfig:
        narrow = trial.suggest_categorical("bottleneck_size", [eighth * part for part in (1, 2, 3, 4, 6)])
        num_heads = trial.suggest_categorical("num_heads", [1, 2, 4, 8])
        num_feed_forward = trial.suggest_categorical("num_feed_forward", [1, 2, 3, 4, 6, 8])
        return replace(
            paper,
            bottleneck_size=narrow,
            num_heads=num_heads,
            num_feed_forward=num_feed_forward,
            feed_forward_size=4 * narrow,
        )

    return Search(
        name=STUDY.name,
        question=STUDY.question,
        scale=scale,
        baseline=baseline,
        space=space,
        num_trials={"smoke": 6, "cpu": 24, "gpu": 32, "paper": 48}[scale],
        generation_size={"smoke": 6, "cpu": 8, "gpu": 8, "paper": 8}[scale],
        first=({"bottleneck_size": paper.bottleneck_size, "num_heads": 4, "num_feed_forward": 4},),
        latency=latency_case(scale, data),
        latency_rounds=size.latency_rounds,
        latency_control_width=size.latency_control_width,
        confirmation_seeds={"smoke": (), "cpu": (1, 2), "gpu": (1, 2), "paper": (1, 2, 3)}[scale],
        scaling=scaling(scale, data),
    )


STUDY = Study(
    name="student-search",
    question="Which bottleneck width, head count and feed-forward stack give the most accuracy for the latency?",
    sources=sources,
    declare=declare,
)
