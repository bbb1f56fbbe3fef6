"""Parameters and FLOPs per component, from the config alone; must equal the built model
(tests/model_zoo/test_cost.py)."""

from dataclasses import dataclass

from model_zoo.config import EncoderConfig
from model_zoo.own_code import count
from model_zoo.short_html import short_table


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentCost:
    """What one component costs, summed over all blocks."""

    name: str
    parameters: int
    flops: int
    """2 x multiply-adds of one forward pass of one sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cost of an encoder with embeddings, without pooler and heads, for one sequence of `length` tokens."""

    components: tuple[ComponentCost, ...]
    length: int

    @property
    def parameters(self) -> int:
        """All trainable scalars: tables, kernels, biases, norm scales and shifts."""
        return sum(component.parameters for component in self.components)

    @property
    def flops(self) -> int:
        """2 x multiply-adds of dense layers and the two attention products; not counted: look-ups, norms, softmax,
        biases."""
        return sum(component.flops for component in self.components)

    def total_rows(self) -> list[tuple[str, str]]:
        """Both sums as rows of a table of texts."""
        return [("parameters", f"{self.parameters:,}"), (f"FLOPs, {self.length} tokens", f"{self.flops:,}")]

    def _repr_html_(self) -> str:
        """In a notebook: every component, then the sums."""
        rows = [(part.name, f"{part.parameters:,}", f"{part.flops:,}") for part in self.components]
        rows.append(("together", f"{self.parameters:,}", f"{self.flops:,}"))
        return short_table(f"Cost of one sequence of {self.length} tokens", rows, ("", "parameters", "FLOPs"))


def cost(config: EncoderConfig, length: int = 128) -> Cost:
    """Parameters and FLOPs of each component. Exact for parameters; FLOPs as `Cost.flops` says.

    A feed-forward of one's own is counted by running it without memory for its numbers, which imports torch.

    Raises:
        ValueError: a length below 1, or a feed-forward of one's own that is not loaded or cannot be counted.

    >>> from model_zoo.presets import mobilebert
    >>> round(cost(mobilebert()).parameters / 1e6, 2), round(cost(mobilebert()).flops / 1e9, 2)
    (25.36, 5.59)
    """
    if length < 1:
        raise ValueError(f"length must be at least 1 token, got {length}")
    block = (*_bottlenecks(config, length), _attention(config, length), _feed_forward(config, length))
    layers = config.num_layers
    repeated = tuple(
        ComponentCost(name=part.name, parameters=part.parameters * layers, flops=part.flops * layers) for part in block
    )
    return Cost(components=(_embedding(config, length), *repeated), length=length)


def cost_rows(config: EncoderConfig) -> list[tuple[str, str]]:
    """Parameters and FLOPs as rows of a table of texts; code of one's own is not run for them."""
    if config.feed_forward != "dense":
        return [("parameters, FLOPs", "counted by cost(), which runs the feed-forward of one's own")]
    return cost(config).total_rows()


def _dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _embedding(config: EncoderConfig, length: int) -> ComponentCost:
    wide = config.hidden_size
    parameters = config.vocab_size * config.embedding_size + (config.max_positions + config.num_token_types) * wide
    parameters += 2 * wide
    multiply_adds = 0
    if config.projects_embedding:
        inputs = config.embedding_size * (3 if config.trigram else 1)
        parameters += _dense(inputs, wide)
        multiply_adds += length * inputs * wide
    return ComponentCost(name="embedding", parameters=parameters, flops=2 * multiply_adds)


def _bottlenecks(config: EncoderConfig, length: int) -> tuple[ComponentCost, ...]:
    if not config.use_bottleneck:
        return ()
    wide, narrow = config.hidden_size, config.bottleneck_size
    into = _dense(wide, narrow) + 2 * narrow
    out = _dense(narrow, wide) + 2 * wide
    num_inputs = 2 if config.attention_input == "shared_bottleneck" else 1
    flops = 2 * length * wide * narrow
    return (
        ComponentCost(name="input bottleneck", parameters=num_inputs * into, flops=num_inputs * flops),
        ComponentCost(name="output bottleneck", parameters=out, flops=flops),
    )


def _attention(config: EncoderConfig, length: int) -> ComponentCost:
    narrow = config.bottleneck_size
    query_key, value = attention_input_sizes(config)
    parameters = 2 * _dense(query_key, narrow) + _dense(value, narrow) + _dense(narrow, narrow) + 2 * narrow
    multiply_adds = length * narrow * (2 * query_key + value + narrow) + 2 * length * length * narrow
    return ComponentCost(name="attention", parameters=parameters, flops=2 * multiply_adds)


def _feed_forward(config: EncoderConfig, length: int) -> ComponentCost:
    narrow, inner = config.bottleneck_size, config.feed_forward_size
    if config.feed_forward != "dense":
        own = count(config, length)
        stack = config.num_feed_forward
        parameters = stack * (own.parameters + 2 * narrow)
        return ComponentCost(name="feed-forward", parameters=parameters, flops=stack * own.flops)
    parameters = config.num_feed_forward * (_dense(narrow, inner) + _dense(inner, narrow) + 2 * narrow)
    flops = config.num_feed_forward * 2 * length * 2 * narrow * inner
    return ComponentCost(name="feed-forward", parameters=parameters, flops=flops)


def feed_forward_numbers(config: EncoderConfig, length: int) -> int:
    """Numbers that the inside of one feed-forward keeps for the backward pass of one sequence: dense and activation."""
    return 2 * length * config.feed_forward_size if config.feed_forward == "dense" else count(config, length).kept


def attention_input_sizes(config: EncoderConfig) -> tuple[int, int]:
    """Width of what (Q and K, V) read, by `attention_input`."""
    wide, narrow = config.hidden_size, config.bottleneck_size
    return {
        "block_input": (wide, wide),
        "shared_bottleneck": (narrow, wide),
        "bottleneck": (narrow, narrow),
    }[config.attention_input]
