"""What a forward pass consists of, as numbers that a latency is linear in: counts of operations and sizes, from the
config alone. Needs neither torch nor numpy."""

from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from search.latency.case import LatencyCase

UNIT = 1e6
"""Sizes are in millions, so that coefficients are of comparable size."""


def features(config: EncoderConfig, case: LatencyCase) -> dict[str, float]:
    """Counts of launched operations, floating-point operations per component, and elements read or written between
    them.

    The dense layers of a thin encoder are bound by memory and by their narrow side as much as by arithmetic: the
    elements that pass through them are features of their own.

    >>> from model_zoo.presets import mobilebert
    >>> features(mobilebert(), LatencyCase(batch=1, length=128))["blocks"]
    24.0
    """
    if config.feed_forward != "dense":
        raise ValueError(
            f"a device profile knows feed_forward='dense' alone, got {config.feed_forward!r}; run without --profile"
        )
    tokens, layers = case.batch * case.length, config.num_layers
    narrow, wide, stack = config.bottleneck_size, config.hidden_size, config.num_feed_forward
    flops = {part.name: part.flops * case.batch / UNIT for part in cost(config, case.length).components}
    bottlenecks = flops.get("input bottleneck", 0.0) + flops.get("output bottleneck", 0.0)
    products = 4 * layers * tokens * case.length * narrow / UNIT
    scores = layers * case.batch * config.num_heads * case.length**2 / UNIT
    return {
        "once": 1.0,
        "blocks": float(layers),
        "stacked feed-forwards": float(layers * stack),
        "heads": float(layers * config.num_heads),
        "embedding FLOPs": flops["embedding"],
        "bottleneck FLOPs": bottlenecks,
        "attention FLOPs": flops["attention"] - products,
        "attention product FLOPs": products,
        "feed-forward FLOPs": flops["feed-forward"],
        "wide elements": layers * tokens * wide / UNIT,
        "narrow elements": layers * tokens * narrow / UNIT,
        "stacked narrow elements": layers * stack * tokens * narrow / UNIT,
        "inner elements": layers * stack * tokens * config.feed_forward_size / UNIT,
        "attention scores": scores,
        "head slices": scores / case.length * config.head_size,
    }


LAUNCHES = ("once", "blocks", "stacked feed-forwards", "heads")
"""The features that do not grow with batch, length or width."""
