"""The algebra of exact folding, in float64 and without modules: which matrices a folded encoder has.

A map of the residual stream is kept in *coordinates*: true map = scale * carried + shift, with constant vectors. A
NoNorm (Sun et al. 2020, equation 1) then changes the coordinates and costs nothing; a layer that reads the map takes
scale and shift into its matrix and bias; a layer that adds to it divides its matrix by the scale, and its bias goes
into the shift. What is left of dense, bias, residual and norm is one matrix product that accumulates into the stream.

A scale of 0 cannot be divided by, and far from 1 it would leave the range of the numbers: where the running product
leaves [1e-4, 1e4] in any channel, the NoNorm stays as one explicit operation and the coordinates start anew.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from model_zoo.config import EncoderConfig

SMALLEST_SCALE, LARGEST_SCALE = 1e-4, 1e4
"""Of the running product of NoNorm scales in any channel; outside, a NoNorm stays explicit."""


class Coordinates(NamedTuple):
    """How a map is carried: true map = scale * carried + shift, per channel."""

    scale: Float[Tensor, " width"]
    shift: Float[Tensor, " width"]


class Dense(NamedTuple):
    """out = weight @ in + bias."""

    weight: Float[Tensor, "out in"]
    bias: Float[Tensor, " out"]


class Norm(NamedTuple):
    """What stays of a norm: for NoNorm an affine map of the carried one; for LayerNorm the shift that is added before
    it, and its own scale and shift."""

    scale: Float[Tensor, " width"]
    shift: Float[Tensor, " width"]
    before: Float[Tensor, " width"]


class PlannedFeedForward(NamedTuple):
    """One feed-forward network of a stack: a product, an activation, a product that accumulates, perhaps a norm."""

    inner: Dense
    outer: Float[Tensor, "narrow inner"]
    norm: Norm | None


class PlannedBlock(NamedTuple):
    """All matrices of one block. Maps are named by what they become: "stream", "shared", "query", "key", "value"."""

    first: Dense
    """From the block's input to the maps of `first_maps`, side by side."""
    first_maps: tuple[str, ...]
    second: Dense | None
    """From the map `second_reads` to the maps of `second_maps`; the query is divided by sqrt(head size)."""
    second_reads: str
    second_maps: tuple[str, ...]
    map_norms: dict[str, Norm]
    """LayerNorms of the bottlenecks, by map."""
    attention_output: Float[Tensor, "narrow narrow"]
    attention_norm: Norm | None
    feed_forward: tuple[PlannedFeedForward, ...]
    output: Float[Tensor, "wide narrow"] | None
    """Of the output bottleneck; None without bottlenecks."""
    output_norm: Norm | None


Weights = Mapping[str, Tensor]


def identity(width: int) -> Coordinates:
    """The map itself."""
    return Coordinates(torch.ones(width, dtype=torch.float64), torch.zeros(width, dtype=torch.float64))


def read(weights: Weights, name: str, coordinates: Coordinates) -> Dense:
    """The layer `name`, reading a carried map."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return Dense(weight * coordinates.scale, bias + weight @ coordinates.shift)


def accumulate(dense: Dense, coordinates: Coordinates) -> tuple[Tensor, Coordinates]:
    """The matrix of a layer that adds to a carried map, and the map's coordinates afterwards."""
    weight = dense.weight / coordinates.scale[:, None]
    return weight, Coordinates(coordinates.scale, coordinates.shift + dense.bias)


def normalise(
    config: EncoderConfig, weights: Weights, name: str, coordinates: Coordinates
) -> tuple[Norm | None, Coordinates]:
    """What stays of the norm `name` on a carried map (None: nothing), and the coordinates afterwards."""
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    if config.norm == "layer_norm":
        return Norm(scale, shift, coordinates.shift), identity(len(scale))
    folded = Coordinates(coordinates.scale * scale, coordinates.shift * scale + shift)
    size = folded.scale.abs()
    if size.min() >= SMALLEST_SCALE and size.max() <= LARGEST_SCALE:
        return None, folded
    return Norm(*folded, before=torch.zeros_like(shift)), identity(len(scale))


def plan_block(config: EncoderConfig, weights: Weights, coordinates: Coordinates) -> tuple[PlannedBlock, Coordinates]:
    """All matrices of a block that reads a carried map, and the coordinates of its output.

    Args:
        config: the encoder's.
        weights: the block's own, in float64, named as in its state dict.
        coordinates: of the block's input.
    """
    first, second, reads, norms = _projections(config, weights, coordinates)
    stream = identity(config.bottleneck_size) if config.use_bottleneck else coordinates
    attention = read(weights, "attention.output", identity(config.bottleneck_size))
    attention_output, stream = accumulate(attention, stream)
    attention_norm, stream = normalise(config, weights, "attention.norm", stream)
    stack = []
    for index in range(config.num_feed_forward):
        name = f"feed_forward.{index}"
        inner = read(weights, f"{name}.inner", stream)
        outer, stream = accumulate(read(weights, f"{name}.outer", identity(config.feed_forward_size)), stream)
        norm, stream = normalise(config, weights, f"{name}.norm", stream)
        stack.append(PlannedFeedForward(inner, outer, norm))
    output, output_norm = None, None
    if config.use_bottleneck:
        output, wide = accumulate(read(weights, "output_bottleneck.dense", stream), coordinates)
        output_norm, stream = normalise(config, weights, "output_bottleneck.norm", wide)
    planned = PlannedBlock(
        first=_stack([first[name] for name in first]),
        first_maps=tuple(first),
        second=_stack([second[name] for name in second]) if second else None,
        second_reads=reads,
        second_maps=tuple(second),
        map_norms=norms,
        attention_output=attention_output,
        attention_norm=attention_norm,
        feed_forward=tuple(stack),
        output=output,
        output_norm=output_norm,
    )
    return planned, stream


def _projections(
    config: EncoderConfig, weights: Weights, coordinates: Coordinates
) -> tuple[dict[str, Dense], dict[str, Dense], str, dict[str, Norm]]:
    """Layers that read the block's input, layers that read the map named third, and norms that stay, all by map."""
    first: dict[str, Dense] = {}
    norms: dict[str, Norm] = {}
    reads = {"shared_bottleneck": "shared", "bottleneck": "stream"}.get(config.attention_input, "")
    bottlenecks = {"stream": "input_bottleneck"} if config.use_bottleneck else {}
    if reads == "shared":
        bottlenecks["shared"] = "query_key_bottleneck"
    for name, layer in bottlenecks.items():
        first[name], norm = _bottleneck(config, weights, layer, coordinates)
        norms |= {} if norm is None else {name: norm}
    second: dict[str, Dense] = {}
    narrow = identity(config.bottleneck_size)
    for name in ("query", "key", "value"):
        inside = reads == "stream" or (reads == "shared" and name != "value")
        dense = read(weights, f"attention.{name}", narrow if inside else coordinates)
        if name == "query":
            dense = Dense(*(part / config.head_size**0.5 for part in dense))
        (second if inside else first)[name] = dense
    return first, second, reads, norms


def _bottleneck(
    config: EncoderConfig, weights: Weights, name: str, coordinates: Coordinates
) -> tuple[Dense, Norm | None]:
    """A bottleneck's layer with its NoNorm inside, or its layer and its LayerNorm."""
    dense = read(weights, f"{name}.dense", coordinates)
    scale, shift = weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"]
    if config.norm == "layer_norm":
        return dense, Norm(scale, shift, torch.zeros_like(shift))
    return Dense(dense.weight * scale[:, None], dense.bias * scale + shift), None


def _stack(layers: Sequence[Dense]) -> Dense:
    """Layers that read the same map, as one."""
    return Dense(torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers]))
