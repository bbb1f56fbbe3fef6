"""The published systems have the parameters and FLOPs that follow from their published architecture."""

import pytest
import torch

from model_zoo.cost import cost
from model_zoo.encoder import count_parameters
from model_zoo.networks import PreTrainingNetwork
from model_zoo.presets import PRESETS

# Recomputed by hand from the published sizes: encoder with embeddings, no pooler, no masked-language head; FLOPs are
# 2 x multiply-adds at length 128. The exact counts were added up apart from the code, term by term.
MILLIONS_AND_GIGAFLOPS = {
    "bert-base": (108.89, 22.35),
    "bert-large": (334.09, 78.92),
    "bert-pkd-6": (66.36, 11.17),
    "bert-pkd-4": (52.19, 7.45),
    "bert-pkd-3": (45.10, 5.59),
    "distilbert-6": (66.36, 11.17),
    "distilbert-4": (52.19, 7.45),
    "tinybert-6": (66.36, 11.17),
    "tinybert-4": (14.25, 1.25),
    "bert-medium": (41.11, 6.71),
    "bert-small": (28.50, 3.36),
    "bert-mini": (11.10, 0.87),
    "bert-tiny": (4.37, 0.12),
    "ib-bert-large": (294.21, 75.75),
    "teacher-a": (357.62, 91.91),
    "teacher-b": (325.91, 83.83),
    "teacher-c": (294.21, 75.75),
    "teacher-d": (278.35, 71.71),
    "teacher-e": (262.50, 67.67),
    "teacher-f": (294.21, 75.75),
    "teacher-g": (92.68, 23.40),
    "teacher-h": (34.39, 8.10),
    "teacher-i": (15.86, 3.17),
    "student-192": (24.24, 5.41),
    "student-160": (24.77, 5.49),
    "student-128": (25.36, 5.59),
    "student-96": (24.83, 5.39),
    "mobilebert": (25.36, 5.59),
    "mobilebert-without-opt": (25.36, 5.59),
    "mobilebert-released": (24.58, 5.39),
    "mobilebert-released-without-opt": (24.58, 5.39),
    "mobilebert-tiny": (15.49, 3.07),
}

# As printed by the papers, and how far the recomputed count may be from it; the docstrings say why.
PRINTED = {
    "bert-large": (334, 0.1),
    "bert-pkd-6": (66.5, 0.15),
    "bert-pkd-4": (52.2, 0.05),
    "bert-pkd-3": (45.3, 0.21),
    "distilbert-6": (66.6, 0.25),
    "distilbert-4": (52.2, 0.05),
    "tinybert-4": (14.5, 0.25),
    "ib-bert-large": (293, 1.3),
    "teacher-a": (356, 1.7),
    "teacher-b": (325, 1.0),
    "teacher-c": (293, 1.3),
    "teacher-d": (276, 2.4),
    "teacher-e": (262, 0.6),
    "teacher-f": (293, 1.3),
    "teacher-g": (92, 0.7),
    "teacher-h": (33, 1.4),
    "teacher-i": (15, 0.9),
    "student-192": (25, 0.8),
    "student-160": (25, 0.8),
    "student-128": (25, 0.8),
    "student-96": (25, 0.8),
    "mobilebert": (25.3, 0.1),
    "mobilebert-without-opt": (25.3, 0.1),
    "mobilebert-tiny": (15.1, 0.4),
}

WITH_POOLER = {"bert-base": 109.48, "bert-large": 335.14, "tinybert-4": 14.35, "tinybert-6": 66.96}
WITH_HEADS = {
    "bert-base": 110.11,
    "bert-large": 336.23,
    "tinybert-4": 14.48,
    "bert-medium": 41.67,
    "bert-small": 29.06,
    "bert-mini": 11.27,
    "bert-tiny": 4.43,
}


def test_the_table_covers_every_preset() -> None:
    assert set(PRESETS) == set(MILLIONS_AND_GIGAFLOPS)


@pytest.mark.parametrize("name", MILLIONS_AND_GIGAFLOPS)
def test_parameters_and_flops_are_those_of_the_publication(name: str) -> None:
    total = cost(PRESETS[name](), length=128)
    millions, gigaflops = MILLIONS_AND_GIGAFLOPS[name]
    assert round(total.parameters / 1e6, 2) == millions
    assert round(total.flops / 1e9, 2) == gigaflops


@pytest.mark.parametrize("name", PRESETS)
def test_every_docstring_names_its_source_and_the_recomputed_count(name: str) -> None:
    text = str(PRESETS[name].__doc__)
    millions, _ = MILLIONS_AND_GIGAFLOPS[name]
    assert f"{millions:.2f} M" in " ".join(text.split())
    places = ("arXiv", "Table", "google-research", "reference")
    assert any(place in text for place in places)


@pytest.mark.parametrize("name", PRINTED)
def test_the_recomputed_count_is_as_far_from_the_printed_one_as_the_docstring_says(name: str) -> None:
    printed, margin = PRINTED[name]
    assert cost(PRESETS[name]()).parameters / 1e6 == pytest.approx(printed, abs=margin)


@pytest.mark.parametrize("name", WITH_POOLER)
def test_the_pooler_adds_what_the_docstrings_say(name: str) -> None:
    config = PRESETS[name]()
    pooler = config.hidden_size * config.hidden_size + config.hidden_size
    assert round((cost(config).parameters + pooler) / 1e6, 2) == WITH_POOLER[name]


@pytest.mark.parametrize("name", WITH_HEADS)
def test_pooler_and_pre_training_heads_add_what_the_docstrings_say(name: str) -> None:
    with torch.device("meta"):
        network = PreTrainingNetwork(PRESETS[name](), pooler=True)
    assert round(count_parameters(network) / 1e6, 2) == WITH_HEADS[name]


def test_distilbert_is_bert_without_token_types() -> None:
    with_types = cost(PRESETS["bert-pkd-6"]()).parameters
    assert with_types - cost(PRESETS["distilbert-6"]()).parameters == 2 * 768


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
    config = PRESETS[f"student-{width}"]()
    sizes = (config.bottleneck_size, config.num_heads, config.num_feed_forward, config.head_size)
    assert sizes == (width, heads, stacks, 32)
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


TABLE_2 = {
    "a": (1024, 1024, 16),
    "b": (768, 1024, 16),
    "c": (512, 1024, 16),
    "d": (384, 1024, 16),
    "e": (256, 1024, 16),
    "f": (512, 1024, 4),
    "g": (512, 512, 4),
    "h": (512, 256, 4),
    "i": (512, 128, 4),
}


@pytest.mark.parametrize("row", TABLE_2)
def test_the_teachers_of_table_2_have_the_printed_sizes(row: str) -> None:
    config = PRESETS[f"teacher-{row}"]()
    assert (config.hidden_size, config.bottleneck_size, config.num_heads) == TABLE_2[row]
    assert (config.num_layers, config.feed_forward_size) == (24, 4 * config.bottleneck_size)
