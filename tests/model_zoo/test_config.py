"""A config that cannot be built is refused when it is made, with the field, the value and a way out."""

import dataclasses
import re
from typing import Any

import pytest

import model_zoo.config
from model_zoo.config import EncoderConfig

SIZES = [
    "num_layers",
    "hidden_size",
    "bottleneck_size",
    "num_heads",
    "num_feed_forward",
    "feed_forward_size",
    "embedding_size",
    "vocab_size",
    "max_positions",
]


def small_fields(small: Any) -> dict[str, Any]:
    return dataclasses.asdict(small())


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [0, -3, 2.0, "4", True, None])
def test_a_size_is_a_whole_number_of_at_least_one(small: Any, unchecked: Any, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{name} must be a whole number of at least 1, got {value!r}")):
        unchecked(**(small_fields(small) | {name: value}))


@pytest.mark.parametrize("value", [-1, 2.0, "4", True, None])
def test_there_may_be_no_token_types_but_not_fewer(small: Any, unchecked: Any, value: object) -> None:
    assert unchecked(**(small_fields(small) | {"num_token_types": 0})).num_token_types == 0
    message = f"num_token_types must be a whole number of at least 0, got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        unchecked(**(small_fields(small) | {"num_token_types": value}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"num_heads": 3, "bottleneck_size": 128},
            "num_heads must divide bottleneck_size, got 3 heads for 128; 1, 2, 4, 8 would do",
        ),
        (
            {"num_heads": 100, "bottleneck_size": 96, "hidden_size": 96},
            "num_heads must divide bottleneck_size, got 100 heads for 96; 24, 32, 48, 96 would do",
        ),
        (
            {"use_bottleneck": False},
            "without a bottleneck bottleneck_size must equal hidden_size, got 8 and 16; set use_bottleneck=True or "
            "make them equal",
        ),
        (
            {"use_bottleneck": False, "bottleneck_size": 16, "attention_input": "bottleneck"},
            "without a bottleneck attention_input must be 'block_input', got 'bottleneck'; set use_bottleneck=True",
        ),
        (
            {"embedding_size": 17},
            "embedding_size must be at most hidden_size, got 17 and 16: the masked-language head ties its output to "
            "the embedding table",
        ),
        ({"norm": "batch_norm"}, "norm must be one of layer_norm, no_norm; got 'batch_norm'"),
        ({"activation": "silu"}, "activation must be one of gelu, relu; got 'silu'"),
        (
            {"attention_input": "raw"},
            "attention_input must be one of block_input, shared_bottleneck, bottleneck; got 'raw'",
        ),
        ({"trigram": 1}, "trigram must be true or false, got 1"),
        ({"use_bottleneck": "yes"}, "use_bottleneck must be true or false, got 'yes'"),
        ({"hidden_dropout": 1.0}, "hidden_dropout must be at least 0 and below 1, got 1.0"),
        ({"attention_dropout": -0.1}, "attention_dropout must be at least 0 and below 1, got -0.1"),
        ({"attention_dropout": float("nan")}, "attention_dropout must be at least 0 and below 1, got nan"),
        ({"hidden_dropout": "0.1"}, "hidden_dropout must be a number, got '0.1'"),
        (
            {"norm_epsilon_places": "some"},
            "norm_epsilon_places must be one of all, transformers; got 'some'",
        ),
        (
            {"norm": "no_norm", "norm_epsilon_places": "transformers"},
            "with NoNorm norm_epsilon_places must be 'all', got 'transformers': NoNorm has no epsilon; set "
            "norm='layer_norm'",
        ),
        ({"norm_epsilon": 0.0}, "norm_epsilon must be above 0 and finite, got 0.0"),
        ({"norm_epsilon": True}, "norm_epsilon must be a number, got True"),
        ({"initializer_range": float("inf")}, "initializer_range must be above 0 and finite, got inf"),
        ({"initializer_range": float("nan")}, "initializer_range must be above 0 and finite, got nan"),
    ],
)
def test_a_config_that_cannot_be_built_says_why(
    small: Any, unchecked: Any, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        unchecked(**(small_fields(small) | fields))


def test_an_inverted_bottleneck_and_plain_bert_are_allowed(small: Any, plain: Any) -> None:
    assert small(bottleneck_size=64).head_size == 32
    assert plain().head_size == 8


def test_the_embedding_is_projected_unless_it_is_plain_and_as_wide_as_the_map(small: Any) -> None:
    assert small().projects_embedding
    assert small(trigram=False).projects_embedding
    assert small(embedding_size=16).projects_embedding
    assert not small(embedding_size=16, trigram=False).projects_embedding


def test_a_config_is_frozen_and_keyword_only(small: Any) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        small().num_layers = 3
    with pytest.raises(TypeError):
        EncoderConfig(2, 16, 8)  # type: ignore[call-arg, misc]


def test_the_table_of_the_module_names_every_field() -> None:
    text = str(model_zoo.config.__doc__)
    assert [field.name for field in dataclasses.fields(EncoderConfig) if f"| {field.name} " not in text] == []
