"""Which part of a network a quantised product belongs to."""

import pytest

from benchmarks.int8_drift import group_of


@pytest.mark.parametrize(
    ("module", "group"),
    [
        ("encoder.blocks.3.inner.0", "blocks.3"),
        ("encoder.blocks.12", "blocks.12"),
        ("encoder.embedding", "embedding"),
        ("head.dense", "head"),
    ],
)
def test_a_product_belongs_to_its_block_the_embedding_or_the_head(module: str, group: str) -> None:
    assert group_of(module) == group
