"""The encoder against two implementations written apart from it: torch's own layer, and the block from the paper's
text."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from model_zoo.encoder import Encoder


def torch_layer(weights: dict[str, Tensor], prefix: str, heads: int) -> torch.nn.Module:
    """torch's post-norm encoder layer with the weights of one of our plain blocks."""
    width = weights[f"{prefix}attention.query.weight"].shape[0]
    inner = weights[f"{prefix}feed_forward.0.inner.weight"].shape[0]
    layer = torch.nn.TransformerEncoderLayer(
        width, heads, inner, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True, norm_first=False
    )
    ours = {
        "self_attn.out_proj": "attention.output",
        "norm1": "attention.norm",
        "linear1": "feed_forward.0.inner",
        "linear2": "feed_forward.0.outer",
        "norm2": "feed_forward.0.norm",
    }
    state = {f"{theirs}.{kind}": weights[f"{prefix}{name}.{kind}"] for theirs, name in ours.items() for kind in KINDS}
    for kind in KINDS:
        parts = [weights[f"{prefix}attention.{name}.{kind}"] for name in ("query", "key", "value")]
        state[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
    layer.load_state_dict(state)
    return layer


KINDS = ("weight", "bias")


def scramble(encoder: Encoder) -> dict[str, Tensor]:
    """Random values in every parameter, biases and norms included, so that none can hide."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return {name: tensor.detach() for name, tensor in encoder.state_dict().items()}


def test_plain_bert_equals_torchs_post_norm_layers(plain: Any, inputs: Any) -> None:
    encoder = Encoder(plain(num_layers=3, num_heads=4)).eval()
    weights = scramble(encoder)
    token_ids, mask, token_types = inputs()
    tokens = weights["embedding.tokens.weight"][token_ids] + weights["embedding.positions.weight"][:12]
    hidden = functional.layer_norm(
        tokens + weights["embedding.token_types.weight"][token_types],
        (16,),
        weights["embedding.norm.weight"],
        weights["embedding.norm.bias"],
        1e-12,
    )
    output = encoder(token_ids, mask, token_types)
    torch.testing.assert_close(output.embedded, hidden, atol=1e-5, rtol=1e-5)
    for index, feature_map in enumerate(output.feature_maps):
        layer = torch_layer(weights, f"blocks.{index}.", heads=4)
        hidden = layer(hidden, src_key_padding_mask=~mask)
        torch.testing.assert_close(feature_map[mask], hidden[mask], atol=1e-5, rtol=1e-5)


def reference_block(weights: dict[str, Tensor], hidden: Tensor, size: int, mode: str, kind: str, heads: int) -> Tensor:
    """One sequence of `size` real tokens through one bottleneck block, from the description of the released code.

    Widths: hidden (seq, wide); every step below is (seq, narrow) until the last.
    """

    def dense(name: str, value: Tensor) -> Tensor:
        return value @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name: str, value: Tensor) -> Tensor:
        if kind == "layer_norm":
            centred = value - value.mean(-1, keepdim=True)
            value = centred / (centred.square().mean(-1, keepdim=True) + 1e-12).sqrt()
        return value * weights[f"{name}.norm.weight"] + weights[f"{name}.norm.bias"]

    layer_input = norm("input_bottleneck", dense("input_bottleneck.dense", hidden))
    query_key = value_input = hidden
    if mode == "shared_bottleneck":
        query_key = norm("query_key_bottleneck", dense("query_key_bottleneck.dense", hidden))
    if mode == "bottleneck":
        query_key = value_input = layer_input
    queries = dense("attention.query", query_key)
    keys, values = dense("attention.key", query_key), dense("attention.value", value_input)
    step = queries.shape[-1] // heads
    context = []
    for head in range(heads):
        part = slice(head * step, (head + 1) * step)
        scores = queries[:, part] @ keys[:size, part].T / math.sqrt(step)
        context.append(torch.softmax(scores, -1) @ values[:size, part])
    narrow = norm("attention", layer_input + dense("attention.output", torch.cat(context, -1)))
    for index in range(2):
        name = f"feed_forward.{index}"
        narrow = norm(name, narrow + dense(f"{name}.outer", dense(f"{name}.inner", narrow).clamp(min=0)))
    return norm("output_bottleneck", hidden + dense("output_bottleneck.dense", narrow))


@pytest.mark.parametrize("mode", ["block_input", "shared_bottleneck", "bottleneck"])
@pytest.mark.parametrize("kind", ["layer_norm", "no_norm"])
def test_a_bottleneck_block_equals_its_description(small: Any, inputs: Any, mode: str, kind: str) -> None:
    config = small(attention_input=mode, norm=kind, activation="relu", num_layers=1)
    encoder = Encoder(config).eval()
    weights = scramble(encoder)
    block = {name.removeprefix("blocks.0."): tensor for name, tensor in weights.items() if name.startswith("blocks.")}
    token_ids, mask, token_types = inputs()
    output = encoder(token_ids, mask, token_types)
    for row, size in enumerate((9, 5, 12)):
        expected = reference_block(block, output.embedded[row], size, mode, kind, heads=2)
        torch.testing.assert_close(output.feature_maps[0][row], expected, atol=1e-5, rtol=1e-5)


def test_the_trigram_is_next_then_this_then_previous_token(small: Any, inputs: Any) -> None:
    encoder = Encoder(small(norm="no_norm")).eval()
    weights = scramble(encoder)
    token_ids, mask, token_types = inputs(sizes=(7,))
    table, zero = weights["embedding.tokens.weight"], torch.zeros(6)
    vectors = [table[token] for token in token_ids[0, :7]]
    for place in range(7):
        following = vectors[place + 1] if place < 6 else zero
        previous = vectors[place - 1] if place > 0 else zero
        triple = torch.cat((following, vectors[place], previous))
        hidden = weights["embedding.projection.weight"] @ triple + weights["embedding.projection.bias"]
        hidden = hidden + weights["embedding.positions.weight"][place]
        hidden = hidden + weights["embedding.token_types.weight"][token_types[0, place]]
        expected = hidden * weights["embedding.norm.weight"] + weights["embedding.norm.bias"]
        torch.testing.assert_close(encoder(token_ids, mask, token_types).embedded[0, place], expected)
