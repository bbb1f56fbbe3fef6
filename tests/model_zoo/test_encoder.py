"""Properties of every encoder: shapes, padding, batch order, the two attention paths, and that no knob is dead."""

import dataclasses
from typing import Any

import pytest
import torch

from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from model_zoo.encoder import Encoder

VARIANTS: dict[str, dict[str, Any]] = {
    "paper": {},
    "released": {"attention_input": "shared_bottleneck", "norm": "no_norm", "activation": "relu"},
    "tiny": {"attention_input": "bottleneck", "norm": "no_norm"},
    "inverted": {"bottleneck_size": 32, "num_feed_forward": 1},
    "without trigram": {"trigram": False},
    "plain": {"use_bottleneck": False, "bottleneck_size": 16, "embedding_size": 16, "trigram": False},
    "framework epsilons": {"norm_epsilon": 0.5, "norm_epsilon_places": "transformers"},
}


@pytest.fixture(params=VARIANTS)
def encoder(request: pytest.FixtureRequest, small: Any) -> Encoder:
    torch.manual_seed(3)
    return Encoder(small(**VARIANTS[request.param])).eval()


def test_feature_maps_and_scores_have_the_shapes_of_the_contract(encoder: Encoder, inputs: Any) -> None:
    output = encoder(*inputs(), scores=True)
    assert output.embedded.shape == (3, 12, 16)
    assert [tuple(found.shape) for found in output.feature_maps] == [(3, 12, 16)] * 2
    assert [tuple(found.shape) for found in output.attention_scores] == [(3, 2, 12, 12)] * 2
    assert encoder(*inputs()).attention_scores == ()


def test_padding_never_changes_a_real_position(encoder: Encoder, inputs: Any) -> None:
    token_ids, mask, token_types = inputs()
    reference = encoder(token_ids, mask, token_types)
    other_ids, _, other_types = inputs(seed=1)
    changed = encoder(torch.where(mask, token_ids, other_ids), mask, torch.where(mask, token_types, other_types))
    for row, size in enumerate((9, 5, 12)):
        cut = encoder(token_ids[row : row + 1, :size], mask[row : row + 1, :size], token_types[row : row + 1, :size])
        for layer, feature_map in enumerate(reference.feature_maps):
            expected = feature_map[row, :size]
            torch.testing.assert_close(changed.feature_maps[layer][row, :size], expected, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(cut.feature_maps[layer][0], expected, atol=1e-5, rtol=1e-5)


def test_a_real_token_does_change_other_real_positions(encoder: Encoder, inputs: Any) -> None:
    token_ids, mask, token_types = inputs()
    before = encoder(token_ids, mask, token_types).feature_maps[-1][0, 0]
    token_ids[0, 7] = (token_ids[0, 7] + 1) % 40
    assert not torch.allclose(encoder(token_ids, mask, token_types).feature_maps[-1][0, 0], before, atol=1e-4)


def test_the_order_of_the_batch_does_not_matter(encoder: Encoder, inputs: Any) -> None:
    token_ids, mask, token_types = inputs()
    order = torch.tensor([2, 0, 1])
    expected = encoder(token_ids, mask, token_types).feature_maps[-1][order]
    found = encoder(token_ids[order], mask[order], token_types[order]).feature_maps[-1]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_path_with_scores_equals_the_fused_path(encoder: Encoder, inputs: Any) -> None:
    fused, spelled = encoder(*inputs()), encoder(*inputs(), scores=True)
    for one, other in zip(fused.feature_maps, spelled.feature_maps, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_scores_are_those_before_the_softmax_with_padded_keys_out_of_reach(encoder: Encoder, inputs: Any) -> None:
    _, mask, _ = inputs()
    for scores in encoder(*inputs(), scores=True).attention_scores:
        padded = ~mask[:, None, None, :].expand_as(scores)
        assert scores[padded].max() < -9000
        assert scores[~padded].abs().max() < 1000
        assert scores.softmax(-1)[padded].max() == 0


@pytest.mark.parametrize("num_blocks", [0, 1, 2])
def test_the_first_blocks_alone_give_the_first_maps_of_all(encoder: Encoder, inputs: Any, num_blocks: int) -> None:
    full = encoder(*inputs(), scores=True)
    prefix = encoder(*inputs(), scores=True, num_blocks=num_blocks)
    assert len(prefix.feature_maps) == len(prefix.attention_scores) == num_blocks
    assert torch.equal(prefix.embedded, full.embedded)
    for name in ("feature_maps", "attention_scores"):
        for one, other in zip(getattr(prefix, name), getattr(full, name), strict=False):
            assert torch.equal(one, other)


def test_a_row_without_any_real_token_gives_numbers(encoder: Encoder, inputs: Any) -> None:
    assert encoder(*inputs(sizes=(0, 12))).feature_maps[-1].isfinite().all()


def test_positions_and_token_types_matter(encoder: Encoder, inputs: Any) -> None:
    token_ids, mask, token_types = inputs(sizes=(12,))
    same = torch.full_like(token_ids, 3)
    found = encoder(same, mask, torch.zeros_like(token_types))
    assert not torch.allclose(found.embedded[0, 3], found.embedded[0, 4], atol=1e-4)
    other = encoder(same, mask, torch.ones_like(token_types))
    assert not torch.allclose(found.embedded, other.embedded, atol=1e-4)


def test_without_token_types_they_are_neither_stored_nor_read(small: Any, inputs: Any) -> None:
    encoder = Encoder(small(num_token_types=0)).eval()
    token_ids, mask, token_types = inputs()
    assert not [name for name in encoder.state_dict() if "token_types" in name]
    found = encoder(token_ids, mask, token_types).feature_maps[-1]
    assert torch.equal(found, encoder(token_ids, mask, 1 - token_types).feature_maps[-1])


def test_transformers_epsilons_stay_in_the_embedding_and_the_last_feed_forward(small: Any) -> None:
    encoder = Encoder(small(norm_epsilon=1e-12, norm_epsilon_places="transformers"))
    norms = {name: module.eps for name, module in encoder.named_modules() if isinstance(module, torch.nn.LayerNorm)}
    framework = {name for name, epsilon in norms.items() if epsilon == 1e-5}
    assert framework == {"embedding.norm", "blocks.0.feed_forward.1.norm", "blocks.1.feed_forward.1.norm"}
    assert {epsilon for name, epsilon in norms.items() if name not in framework} == {1e-12}


def test_weights_start_within_two_standard_deviations_and_biases_at_zero(small: Any) -> None:
    torch.manual_seed(0)
    encoder = Encoder(small(vocab_size=500, initializer_range=0.05))
    for name, parameter in encoder.named_parameters():
        if ".norm." in name:
            assert torch.equal(parameter, torch.full_like(parameter, float(name.endswith("weight")))), name
        elif name.endswith("bias"):
            assert not parameter.any(), name
        else:
            assert parameter.abs().max() <= 0.1, name
    # A normal distribution cut at two standard deviations has 0.88 of its standard deviation.
    assert encoder.embedding.tokens.weight.std().item() == pytest.approx(0.88 * 0.05, rel=0.05)


KNOBS: dict[str, tuple[Any, ...]] = {
    "num_layers": (3,),
    "hidden_size": (20,),
    "bottleneck_size": (8, 32),
    "use_bottleneck": (False,),
    "num_heads": (1, 4),
    "num_feed_forward": (1, 3),
    "feed_forward_size": (13,),
    "attention_input": ("shared_bottleneck", "bottleneck"),
    "norm": ("no_norm",),
    "feed_forward": (),  # needs code of one's own: tests/model_zoo/test_own_code.py
    "activation": ("relu",),
    "embedding_size": (7,),
    "trigram": (False,),
    "hidden_dropout": (0.3,),
    "attention_dropout": (0.3,),
    "vocab_size": (41,),
    "max_positions": (25,),
    "num_token_types": (3, 0),
    "norm_epsilon": (1e-2,),
    "norm_epsilon_places": ("transformers",),
    "initializer_range": (0.2,),
}


def behaviour(config: EncoderConfig, inputs: Any) -> tuple[int, int, list[float]]:
    """Parameters, FLOPs and the output of one training forward pass, everything from one seed."""
    torch.manual_seed(5)
    encoder = Encoder(config).train()
    torch.manual_seed(6)
    total = cost(config)
    return total.parameters, total.flops, encoder(*inputs()).feature_maps[-1].flatten()[:64].tolist()


def test_the_table_of_knobs_covers_every_field() -> None:
    assert set(KNOBS) == {field.name for field in dataclasses.fields(EncoderConfig)}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in KNOBS.items() for value in values])
def test_no_knob_is_dead(small: Any, inputs: Any, name: str, value: object) -> None:
    base = small(bottleneck_size=16)
    assert behaviour(base, inputs) == behaviour(base, inputs)
    assert behaviour(dataclasses.replace(base, **{name: value}), inputs) != behaviour(base, inputs)


@pytest.mark.parametrize("name", ["hidden_dropout", "attention_dropout"])
def test_dropout_is_off_in_evaluation(small: Any, inputs: Any, name: str) -> None:
    torch.manual_seed(5)
    without = Encoder(small()).eval()
    torch.manual_seed(5)
    with_dropout = Encoder(small(**{name: 0.5})).eval()
    assert torch.equal(without(*inputs()).feature_maps[-1], with_dropout(*inputs()).feature_maps[-1])
