"""The published systems have the parameters and FLOPs that follow from their published architecture."""

import pytest

from model_zoo.cost import cost
from model_zoo.presets import PRESETS

# Recomputed by hand from the published sizes: encoder with embeddings, no pooler, no masked-language head; FLOPs are
# 2 x multiply-adds at length 128. The exact counts were added up apart from the code, term by term.
MILLIONS_AND_GIGAFLOPS = {
    "bert-base": (108.89, 22.35),
    "bert-large": (334.09, 78.92),
    "ib-bert-large": (294.21, 75.75),
    "mobilebert": (25.36, 5.59),
    "mobilebert-released": (24.58, 5.39),
    "mobilebert-tiny": (15.49, 3.07),
    "mobilebert-without-opt": (25.36, 5.59),
}


def test_the_table_covers_every_preset() -> None:
    assert set(PRESETS) == set(MILLIONS_AND_GIGAFLOPS)


@pytest.mark.parametrize("name", MILLIONS_AND_GIGAFLOPS)
def test_parameters_and_flops_are_those_of_the_publication(name: str) -> None:
    total = cost(PRESETS[name](), length=128)
    millions, gigaflops = MILLIONS_AND_GIGAFLOPS[name]
    assert round(total.parameters / 1e6, 2) == millions
    assert round(total.flops / 1e9, 2) == gigaflops


def test_the_released_checkpoint_has_its_exact_number_of_parameters() -> None:
    assert cost(PRESETS["mobilebert-released"]()).parameters == 24_581_888


def test_bert_base_has_its_exact_number_of_parameters() -> None:
    block = 4 * (768 * 768 + 768) + 768 * 3072 + 3072 + 3072 * 768 + 768 + 4 * 768
    assert cost(PRESETS["bert-base"]()).parameters == (30522 + 512 + 2) * 768 + 2 * 768 + 12 * block


@pytest.mark.parametrize(
    ("width", "heads", "stacks", "attention", "feed_forward"),
    [(192, 6, 1, 7.99, 7.11), (160, 5, 2, 6.54, 9.88), (128, 4, 4, 5.13, 12.67), (96, 3, 8, 3.77, 14.28)],
)
def test_the_students_of_table_3_split_their_parameters_as_printed(
    width: int, heads: int, stacks: int, attention: float, feed_forward: float
) -> None:
    from dataclasses import replace

    config = replace(
        PRESETS["mobilebert"](),
        bottleneck_size=width,
        num_heads=heads,
        num_feed_forward=stacks,
        feed_forward_size=4 * width,
    )
    parts = {part.name: part.parameters / 1e6 for part in cost(config).components}
    assert parts["attention"] == pytest.approx(attention, abs=0.03)
    assert parts["feed-forward"] == pytest.approx(feed_forward, abs=0.03)


@pytest.mark.parametrize(
    ("inter", "intra", "millions", "gigaflops"),
    [
        (1024, 1024, 357.6, 91.9),
        (768, 1024, 325.9, 83.8),
        (384, 1024, 278.4, 71.7),
        (256, 1024, 262.5, 67.7),
        (512, 512, 92.7, 23.4),
        (512, 256, 34.4, 8.1),
        (512, 128, 15.9, 3.2),
    ],
)
def test_the_teachers_of_table_2_have_the_recomputed_counts(
    inter: int, intra: int, millions: float, gigaflops: float
) -> None:
    from dataclasses import replace

    config = replace(PRESETS["ib-bert-large"](), hidden_size=inter, bottleneck_size=intra, feed_forward_size=4 * intra)
    total = cost(config)
    assert round(total.parameters / 1e6, 1) == millions
    assert round(total.flops / 1e9, 1) == gigaflops
