"""What this project's tensors are called in transformers' BERT, DistilBERT and MobileBERT.

Left: names in a `PreTrainingNetwork`'s state dict; right: names in transformers' model with its pre-training heads,
without the family's own prefix (`bert.`), which `PREFIXED` parts have.
"""

from collections.abc import Mapping

from model_zoo.config import EncoderConfig
from model_zoo.transformers_config import Family

KINDS = ("weight", "bias")

_BERT_LAYER = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention.norm": "attention.output.LayerNorm",
}
_DISTILBERT_LAYER = {
    "attention.query": "attention.q_lin",
    "attention.key": "attention.k_lin",
    "attention.value": "attention.v_lin",
    "attention.output": "attention.out_lin",
    "attention.norm": "sa_layer_norm",
    "feed_forward.0.inner": "ffn.lin1",
    "feed_forward.0.outer": "ffn.lin2",
    "feed_forward.0.norm": "output_layer_norm",
}
_BOTTLENECKS = {
    "input_bottleneck": "bottleneck.input",
    "query_key_bottleneck": "bottleneck.attention",
    "output_bottleneck": "output.bottleneck",
}
_MASKED_LANGUAGE = {
    "masked_language.dense.weight": "cls.predictions.transform.dense.weight",
    "masked_language.dense.bias": "cls.predictions.transform.dense.bias",
    "masked_language.norm.weight": "cls.predictions.transform.LayerNorm.weight",
    "masked_language.norm.bias": "cls.predictions.transform.LayerNorm.bias",
    "masked_language.bias": "cls.predictions.bias",
}
_DISTILBERT_MASKED_LANGUAGE = {
    "masked_language.dense.weight": "vocab_transform.weight",
    "masked_language.dense.bias": "vocab_transform.bias",
    "masked_language.norm.weight": "vocab_layer_norm.weight",
    "masked_language.norm.bias": "vocab_layer_norm.bias",
    "masked_language.bias": "vocab_projector.bias",
}
EXTRA = "cls.predictions.dense.weight"
"""MobileBERT's extra output matrix; transformers keeps it transposed, (extra, vocab)."""
DEAD_PROJECTION = "embeddings.embedding_transformation"
"""MobileBERT always has this layer, and does not use it where embeddings are plain and as wide as the map."""
WORDS = "embeddings.word_embeddings.weight"

TIED: dict[Family, dict[str, str]] = {
    "bert": {"cls.predictions.decoder.weight": WORDS, "cls.predictions.decoder.bias": "cls.predictions.bias"},
    "mobilebert": {"cls.predictions.decoder.weight": WORDS, "cls.predictions.decoder.bias": "cls.predictions.bias"},
    "distilbert": {"vocab_projector.weight": WORDS},
}
"""Copies that some files hold: name of the copy and of what it is a copy of."""


def encoder_names(config: EncoderConfig, family: Family) -> dict[str, str]:
    """Every tensor of the encoder: our name to theirs."""
    modules = {
        "embedding.norm": "embeddings.LayerNorm",
        **({"embedding.projection": DEAD_PROJECTION} if config.projects_embedding else {}),
    }
    folder = "transformer" if family == "distilbert" else "encoder"
    for index in range(config.num_layers):
        for ours, theirs in _layer(config, family).items():
            modules[f"blocks.{index}.{ours}"] = f"{folder}.layer.{index}.{theirs}"
    names = {"tokens": "word", "positions": "position"} | (
        {"token_types": "token_type"} if config.num_token_types else {}
    )
    tables = {f"embedding.{ours}.weight": f"embeddings.{theirs}_embeddings.weight" for ours, theirs in names.items()}
    return {f"encoder.{ours}": theirs for ours, theirs in (tables | _tensors(modules)).items()}


def head_names(family: Family, *, extra: bool) -> dict[str, dict[str, str]]:
    """Tensors of each head that transformers' class can have: head to our names and theirs."""
    if family == "distilbert":
        return {"masked_language": _DISTILBERT_MASKED_LANGUAGE}
    return {
        "masked_language": _MASKED_LANGUAGE | ({"masked_language.extra": EXTRA} if extra else {}),
        "pooler": _tensors({"next_sentence.pooler": "pooler.dense"}),
        "next_sentence": _tensors({"next_sentence.dense": "cls.seq_relationship"}),
    }


def ignored_names(config: EncoderConfig, family: Family, fields: Mapping[str, object]) -> set[str]:
    """Tensors that a file may hold and that change nothing: buffers, and layers that transformers makes but never
    runs (a shared bottleneck beside `use_bottleneck_attention`, the embedding projection of plain embeddings, an extra
    output matrix without columns)."""
    ignored = {"embeddings.position_ids", "embeddings.token_type_ids"}
    if family == "mobilebert" and not config.projects_embedding:
        ignored |= set(_tensors({DEAD_PROJECTION: DEAD_PROJECTION}))
    if family == "mobilebert" and config.embedding_size == config.hidden_size:
        ignored.add(EXTRA)
    if config.attention_input == "bottleneck" and fields["key_query_shared_bottleneck"]:
        parts = ("dense", "LayerNorm")
        layers = range(config.num_layers)
        dead = {f"encoder.layer.{index}.bottleneck.attention.{part}": "" for index in layers for part in parts}
        ignored |= set(_tensors(dead))
    return ignored


def _layer(config: EncoderConfig, family: Family) -> dict[str, str]:
    if family == "distilbert":
        return _DISTILBERT_LAYER
    layer, last = dict(_BERT_LAYER), config.num_feed_forward - 1
    for index in range(last + 1):
        place = "" if index == last else f"ffn.{index}."
        parts = {"inner": "intermediate.dense", "outer": "output.dense", "norm": "output.LayerNorm"}
        layer |= {f"feed_forward.{index}.{ours}": f"{place}{theirs}" for ours, theirs in parts.items()}
    for ours, theirs in _BOTTLENECKS.items():
        if config.use_bottleneck and (ours != "query_key_bottleneck" or config.attention_input == "shared_bottleneck"):
            layer |= {f"{ours}.dense": f"{theirs}.dense", f"{ours}.norm": f"{theirs}.LayerNorm"}
    return layer


def _tensors(modules: Mapping[str, str]) -> dict[str, str]:
    return {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in modules.items() for kind in KINDS}
