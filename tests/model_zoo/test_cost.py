"""What the config says it costs is what the built encoder has and does."""

import random
from typing import Any, get_args

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from model_zoo.config import Activation, AttentionInput, EncoderConfig, Norm
from model_zoo.cost import cost
from model_zoo.encoder import Encoder, count_parameters
from model_zoo.presets import PRESETS


def random_config(chance: random.Random) -> EncoderConfig:
    """A small config, plain BERT one time in four."""
    heads, hidden = chance.choice((1, 2, 3, 4)), 12 * chance.randint(1, 4)
    bottleneck = chance.random() < 0.75
    return EncoderConfig(
        num_layers=chance.randint(1, 3),
        hidden_size=hidden,
        bottleneck_size=heads * chance.randint(1, 20) if bottleneck else hidden,
        use_bottleneck=bottleneck,
        num_heads=heads,
        num_feed_forward=chance.randint(1, 4),
        feed_forward_size=chance.randint(1, 64),
        attention_input=chance.choice(get_args(AttentionInput)) if bottleneck else "block_input",
        norm=chance.choice(get_args(Norm)),
        activation=chance.choice(get_args(Activation)),
        embedding_size=chance.choice((chance.randint(1, hidden), hidden)),
        trigram=chance.random() < 0.5,
        vocab_size=chance.randint(1, 90),
        max_positions=chance.randint(33, 70),
        num_token_types=chance.randint(0, 3),
    )


def on_meta(config: EncoderConfig) -> Encoder:
    with torch.device("meta"):
        return Encoder(config)


def counted_flops(config: EncoderConfig, length: int) -> int:
    """What torch counts in one forward of one sequence: dense layers and the two attention products."""
    encoder = on_meta(config)
    ids: Any = torch.zeros(1, length, dtype=torch.long, device="meta")
    mask = torch.ones(1, length, dtype=torch.bool, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(ids, mask, ids, scores=True)
    return counter.get_total_flops()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_costs_what_it_is_built_of(name: str) -> None:
    config = PRESETS[name]()
    assert cost(config).parameters == count_parameters(on_meta(config))
    assert cost(config, 128).flops == counted_flops(config, 128)


def test_two_hundred_random_configs_have_the_parameters_that_cost_says() -> None:
    chance = random.Random(0)
    for config in (random_config(chance) for _ in range(200)):
        assert cost(config).parameters == count_parameters(on_meta(config)), config


def test_forty_random_configs_do_the_flops_that_cost_says() -> None:
    chance = random.Random(1)
    for config in (random_config(chance) for _ in range(40)):
        length = chance.randint(1, 33)
        assert cost(config, length).flops == counted_flops(config, length), (config, length)


def test_the_components_are_those_of_the_architecture(small: Any, plain: Any) -> None:
    names = [part.name for part in cost(small()).components]
    assert names == ["embedding", "input bottleneck", "output bottleneck", "attention", "feed-forward"]
    assert [part.name for part in cost(plain()).components] == ["embedding", "attention", "feed-forward"]


def test_components_agree_with_the_built_parts(small: Any) -> None:
    config = small(attention_input="shared_bottleneck")
    encoder = on_meta(config)
    built = {"embedding": count_parameters(encoder.embedding)}
    groups = {
        "input bottleneck": ("input_bottleneck", "query_key_bottleneck"),
        "output bottleneck": ("output_bottleneck",),
        "attention": ("attention",),
        "feed-forward": ("feed_forward",),
    }
    for name, children in groups.items():
        built[name] = sum(
            count_parameters(block.get_submodule(child)) for block in encoder.blocks for child in children
        )
    assert {part.name: part.parameters for part in cost(config).components} == built


def test_a_sequence_without_tokens_is_refused(small: Any) -> None:
    with pytest.raises(ValueError, match="length must be at least 1 token, got 0"):
        cost(small(), length=0)
