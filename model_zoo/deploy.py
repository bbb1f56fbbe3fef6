"""Faster modules that compute the same function as an encoder; knows nothing of training, data or files.

What changes is the order of additions and multiplications, nothing else (`model_zoo/folding.py`): NoNorms vanish into
the layers around them, residuals accumulate inside matrix products, and all projections that read the same map are one
matrix product (input bottleneck, Q/K bottleneck or Q and K, and V; then Q and K). With LayerNorm the norms stay. Maps
are flat, (batch * seq, width), throughout. Where a graph is exported, the same is written so that a runtime recognises
it and can quantise it: (batch, seq, width) maps, sums beside products instead of in place, attention as products and a
softmax.
"""

import copy
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.config import FRAMEWORK_EPSILON, EncoderConfig
from model_zoo.encoder import MASKED_SCORE, Encoder
from model_zoo.folding import Coordinates, Dense, Norm, PlannedBlock, identity, normalise, plan_block
from model_zoo.networks import TaskNetwork, task_logits
from model_zoo.weight_checks import check_weights, shapes_of

IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda x: x, "gelu": functional.gelu, "relu": torch.relu_}
"""Activations of a map that nothing else reads."""


def fold(config: EncoderConfig, weights: Mapping[str, Tensor]) -> "FoldedEncoder":
    """The encoder as a module for inference that computes the same last feature map faster.

    Folding is done in float64; the module has the dtype and the device of the word table. Its result differs from the
    encoder's by rounding only (tests/model_zoo/test_deploy.py: 1e-4 of the largest value in float32, 1e-9 in float64,
    over 24 blocks). It has no dropout and no gradient.

    Args:
        config: the architecture.
        weights: as in a `PreTrainingNetwork`'s state dict; only what starts with `encoder.` is read.

    Raises:
        ValueError: one line naming a tensor that is missing, unknown, of another shape, or not finite; or a
            feed-forward of one's own, whose algebra is not known.

    >>> from model_zoo.config import EncoderConfig
    >>> config = EncoderConfig(num_layers=2, hidden_size=8, bottleneck_size=4, num_heads=2, feed_forward_size=16,
    ...                        norm="no_norm", embedding_size=4, vocab_size=50, max_positions=16)
    >>> encoder = Encoder(config).eval()
    >>> folded = fold(config, {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()})
    >>> ids, mask = torch.tensor([[7, 8, 9]]), torch.ones(1, 3, dtype=torch.bool)
    >>> torch.allclose(folded(ids, mask, ids * 0), encoder(ids, mask, ids * 0).feature_maps[-1], atol=1e-6)
    True
    """
    if config.feed_forward != "dense":
        raise ValueError(
            f"folded and ONNX forms know feed_forward='dense' alone, got {config.feed_forward!r}; use runtime eager"
        )
    shapes = shapes_of(lambda: Encoder(config))
    encoders = {name: tensor for name, tensor in weights.items() if name.startswith("encoder.")}
    check_weights(encoders, {name: f"encoder.{name}" for name in shapes}, shapes, "the weights")
    own = _part(encoders, "encoder.")
    table = own["embedding.tokens.weight"]
    with torch.no_grad():
        exact = {name: tensor.detach().to("cpu", torch.float64) for name, tensor in own.items()}
        return FoldedEncoder(config, exact).to(table.device, table.dtype).eval()


class Product(nn.Module):
    """A dense layer on flat maps, then an activation; without a bias it only accumulates."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, dense: Dense | Float[Tensor, "out in"], activation: str = "none") -> None:
        super().__init__()
        self.activation = activation
        weight, bias = (dense.weight, dense.bias) if isinstance(dense, Dense) else (dense, None)
        self.register_buffer("weight", weight.T.contiguous())
        self.register_buffer("bias", bias)

    def forward(self, hidden: Float[Tensor, "*tokens in"]) -> Float[Tensor, "*tokens out"]:
        assert self.bias is not None
        if torch.compiler.is_exporting():
            return IN_PLACE[self.activation](hidden @ self.weight + self.bias)
        return IN_PLACE[self.activation](torch.addmm(self.bias, hidden, self.weight))

    def onto(
        self, stream: Float[Tensor, "*tokens out"], hidden: Float[Tensor, "*tokens in"]
    ) -> Float[Tensor, "*tokens out"]:
        """stream += hidden @ weight, in place (a compiler and an exporter want the value and find the place)."""
        if torch.compiler.is_compiling():
            return stream + hidden @ self.weight
        return stream.addmm_(hidden, self.weight)


class Affine(nn.Module):
    """scale * x + shift: a NoNorm that stays, or the way back to the true map."""

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Float[Tensor, " width"], shift: Float[Tensor, " width"]) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, hidden: Float[Tensor, "*tokens width"]) -> Float[Tensor, "*tokens width"]:
        return torch.addcmul(self.shift, hidden, self.scale)


class ShiftedLayerNorm(nn.Module):
    """LayerNorm of x + before; `before` is the bias of what was added to the stream."""

    before: Tensor | None
    weight: Tensor
    bias: Tensor

    def __init__(self, norm: Norm, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.register_buffer("before", norm.before if norm.before.any() else None)
        self.register_buffer("weight", norm.scale)
        self.register_buffer("bias", norm.shift)

    def forward(self, hidden: Float[Tensor, "*tokens width"]) -> Float[Tensor, "*tokens width"]:
        if self.before is not None:
            hidden = hidden + self.before
        return functional.layer_norm(hidden, self.weight.shape, self.weight, self.bias, self.epsilon)


class FoldedEmbedding(nn.Module):
    """Ids to the first carried map: look-ups, and one product that accumulates into positions and types."""

    tokens: Tensor
    positions: Tensor
    types: Tensor | None
    projection: Tensor | None

    def __init__(self, config: EncoderConfig, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.trigram = config.trigram
        projects = config.projects_embedding
        self.register_buffer("tokens", weights["tokens.weight"])
        self.register_buffer("positions", weights["positions.weight"])
        self.register_buffer("types", weights["token_types.weight"] if config.num_token_types else None)
        self.register_buffer("projection", weights["projection.weight"].T.contiguous() if projects else None)
        start = identity(config.hidden_size)
        start = Coordinates(start.scale, weights["projection.bias"]) if projects else start
        norm, self.coordinates = normalise(config, weights, "norm", start)
        self.norm = _make_norm(config, norm, exempt=True)

    def forward(
        self,
        token_ids: Int[Tensor, "batch seq"],
        weights: Float[Tensor, "batch seq 1"],
        token_types: Int[Tensor, "batch seq"],
    ) -> Float[Tensor, "batch seq hidden"]:
        """`weights` is 1 at real tokens and 0 at padding."""
        tokens = functional.embedding(token_ids, self.tokens)
        places = self.positions[: token_ids.shape[1]].expand(*token_ids.shape, -1)
        if self.types is not None:
            places = places + functional.embedding(token_types, self.types)
        if self.trigram:
            tokens = tokens * weights
            edge = torch.zeros_like(tokens[:, :1])
            following, previous = torch.cat((tokens[:, 1:], edge), dim=1), torch.cat((edge, tokens[:, :-1]), dim=1)
            tokens = torch.cat((following, tokens, previous), dim=-1)  # (batch, seq, 3 * embedding)
        stream = places + (tokens if self.projection is None else tokens @ self.projection)
        result: Tensor = self.norm(stream)
        return result


class FoldedBlock(nn.Module):
    """One block on a carried map, which it overwrites."""

    def __init__(self, config: EncoderConfig, planned: PlannedBlock) -> None:
        super().__init__()
        self.num_heads, self.narrow = config.num_heads, config.bottleneck_size
        self.first_maps, self.second_maps = planned.first_maps, planned.second_maps
        self.second_reads = planned.second_reads
        self.first = Product(planned.first)
        self.second = None if planned.second is None else Product(planned.second)
        self.map_norms = nn.ModuleDict({name: _make_norm(config, norm) for name, norm in planned.map_norms.items()})
        self.attention_output = Product(planned.attention_output)
        self.attention_norm = _make_norm(config, planned.attention_norm)
        last = len(planned.feed_forward) - 1
        self.inner = nn.ModuleList(Product(part.inner, config.activation) for part in planned.feed_forward)
        self.outer = nn.ModuleList(Product(part.outer) for part in planned.feed_forward)
        self.norms = nn.ModuleList(
            _make_norm(config, part.norm, exempt=index == last) for index, part in enumerate(planned.feed_forward)
        )
        self.output: Product | None = None if planned.output is None else Product(planned.output)
        self.output_norm = _make_norm(config, planned.output_norm)

    def forward(
        self, wide: Float[Tensor, "*tokens hidden"], bias: Float[Tensor, "batch 1 1 seq"]
    ) -> Float[Tensor, "*tokens hidden"]:
        """`bias` is added to the scores: 0 at real keys, a large negative number at padding."""
        maps = dict(zip(self.first_maps, self.first(wide).split(self.narrow, dim=-1), strict=True))
        for name, norm in self.map_norms.items():
            maps[name] = norm(maps[name])
        if self.second is not None:
            parts = self.second(maps[self.second_reads]).split(self.narrow, dim=-1)
            maps |= zip(self.second_maps, parts, strict=True)
        context = self._attend(maps["query"], maps["key"], maps["value"], bias)
        stream: Tensor = self.attention_norm(self.attention_output.onto(maps.get("stream", wide), context))
        for inner, outer, norm in zip(self.inner, self.outer, self.norms, strict=True):
            assert isinstance(outer, Product)
            stream = norm(outer.onto(stream, inner(stream)))
        if self.output is None:
            return stream
        result: Tensor = self.output_norm(self.output.onto(wide, stream))
        return result

    def _attend(
        self,
        query: Float[Tensor, "*tokens narrow"],
        key: Float[Tensor, "*tokens narrow"],
        value: Float[Tensor, "*tokens narrow"],
        bias: Float[Tensor, "batch 1 1 seq"],
    ) -> Float[Tensor, "*tokens narrow"]:
        """What each head gathers. The query carries 1 / sqrt(head size) already."""
        heads = (bias.shape[0], bias.shape[-1], self.num_heads, -1)
        if torch.compiler.is_exporting():
            scores = query.view(heads).transpose(1, 2) @ key.view(heads).permute(0, 2, 3, 1) + bias
            context = scores.softmax(-1) @ value.view(heads).transpose(1, 2)
        else:
            query_heads, key_heads, value_heads = (
                part.view(heads).transpose(1, 2) for part in (query, key, value)
            )  # (batch, heads, seq, head_size)
            context = functional.scaled_dot_product_attention(
                query_heads, key_heads, value_heads, attn_mask=bias, scale=1.0
            )
        return context.transpose(1, 2).reshape(query.shape)


class FoldedEncoder(nn.Module):
    """What `fold` makes: an encoder for inference, its weights constants in folded form."""

    def __init__(self, config: EncoderConfig, weights: Mapping[str, Tensor]) -> None:
        """`weights` in float64, named as in an `Encoder`'s state dict."""
        super().__init__()
        self.config = config
        self.embedding = FoldedEmbedding(config, _part(weights, "embedding."))
        coordinates, blocks = self.embedding.coordinates, []
        for index in range(config.num_layers):
            planned, coordinates = plan_block(config, _part(weights, f"blocks.{index}."), coordinates)
            blocks.append(FoldedBlock(config, planned))
        self.blocks = nn.ModuleList(blocks)
        self.result = Affine(*coordinates) if config.norm == "no_norm" else nn.Identity()

    def forward(
        self,
        token_ids: Int[Tensor, "batch seq"],
        mask: Bool[Tensor, "batch seq"],
        token_types: Int[Tensor, "batch seq"],
    ) -> Float[Tensor, "batch seq hidden"]:
        """The last feature map. `mask` is True at real tokens; token types as in `Encoder`."""
        weights = mask.to(self.embedding.tokens.dtype)
        bias = ((1.0 - weights) * MASKED_SCORE)[:, None, None, :]  # (batch, 1, 1, seq)
        stream = self.embedding(token_ids, weights[:, :, None], token_types)
        if not torch.compiler.is_exporting():
            stream = stream.flatten(0, 1)  # (batch * seq, hidden)
        for block in self.blocks:
            stream = block(stream, bias)
        result: Tensor = self.result(stream)
        return result.view(*token_ids.shape, -1)


class FoldedTask(nn.Module):
    """What `fold_task` makes: a folded encoder and a task's head, for inference."""

    def __init__(self, encoder: FoldedEncoder, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(
        self,
        token_ids: Int[Tensor, "batch seq"],
        mask: Bool[Tensor, "batch seq"],
        token_types: Int[Tensor, "batch seq"],
    ) -> Float[Tensor, " batch *outputs"]:
        """Logits as `TaskNetwork` gives them."""
        return task_logits(self.head, self.encoder(token_ids, mask, token_types), mask)


def fold_task(network: TaskNetwork) -> FoldedTask:
    """A task's network as a module for inference: its encoder folded, its head as it is (a copy)."""
    head = copy.deepcopy(network.head).eval().requires_grad_(False)
    return FoldedTask(fold(network.encoder.config, network.state_dict()), head).eval()


def _make_norm(config: EncoderConfig, norm: Norm | None, *, exempt: bool = False) -> nn.Module:
    """The module of what stays of a norm; `exempt` places have torch's epsilon where the config says so."""
    if norm is None:
        return nn.Identity()
    if config.norm == "no_norm":
        return Affine(norm.scale, norm.shift)
    framework = exempt and config.norm_epsilon_places == "transformers"
    return ShiftedLayerNorm(norm, FRAMEWORK_EPSILON if framework else config.norm_epsilon)


def _part(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
