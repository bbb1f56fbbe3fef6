"""`EncoderConfig` to and from the config.json of transformers' BERT, DistilBERT and MobileBERT.

Knows names and values only, imports neither torch nor transformers. Checked against transformers 5.23
(tests/model_zoo/test_huggingface_parity.py). Fields that a config.json leaves out have the defaults of transformers'
classes, which stand in `DEFAULTS`.
"""

from collections.abc import Mapping
from typing import Any, Literal

from model_zoo.config import FRAMEWORK_EPSILON, EncoderConfig

Family = Literal["bert", "distilbert", "mobilebert"]
Fields = Mapping[str, Any]

LARGEST = 10_000_000
"""Of any size in a config.json: a larger one is damage, and building it would take for ever."""

FIXED_EPSILON = 1e-12
"""Of every LayerNorm in transformers' DistilBERT, whatever its config says."""

_BERT = {
    "num_hidden_layers": "num_layers",
    "hidden_size": "hidden_size",
    "num_attention_heads": "num_heads",
    "intermediate_size": "feed_forward_size",
    "hidden_act": "activation",
    "hidden_dropout_prob": "hidden_dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_positions",
    "type_vocab_size": "num_token_types",
    "layer_norm_eps": "norm_epsilon",
    "initializer_range": "initializer_range",
}
FIELDS: dict[Family, dict[str, str]] = {
    "bert": _BERT,
    "distilbert": {
        "n_layers": "num_layers",
        "dim": "hidden_size",
        "n_heads": "num_heads",
        "hidden_dim": "feed_forward_size",
        "activation": "activation",
        "dropout": "hidden_dropout",
        "attention_dropout": "attention_dropout",
        "vocab_size": "vocab_size",
        "max_position_embeddings": "max_positions",
        "initializer_range": "initializer_range",
    },
    "mobilebert": _BERT
    | {
        "intra_bottleneck_size": "bottleneck_size",
        "use_bottleneck": "use_bottleneck",
        "num_feedforward_networks": "num_feed_forward",
        "normalization_type": "norm",
        "embedding_size": "embedding_size",
        "trigram_input": "trigram",
    },
}
_COMMON = {"vocab_size": 30522, "max_position_embeddings": 512, "initializer_range": 0.02}
_BERT_BASE: dict[str, object] = {
    "num_hidden_layers": 12,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}
_DISTILBERT: dict[str, object] = {"n_layers": 6, "dim": 768, "n_heads": 12, "hidden_dim": 3072, "activation": "gelu"}
_MOBILEBERT: dict[str, object] = {
    "num_hidden_layers": 24,
    "hidden_size": 512,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "hidden_act": "relu",
    "hidden_dropout_prob": 0.0,
    "intra_bottleneck_size": 128,
    "use_bottleneck": True,
    "use_bottleneck_attention": False,
    "key_query_shared_bottleneck": True,
    "num_feedforward_networks": 4,
    "normalization_type": "no_norm",
    "classifier_activation": True,
    "embedding_size": 128,
    "trigram_input": True,
}
DEFAULTS: dict[Family, Fields] = {
    "bert": _COMMON | _BERT_BASE,
    "distilbert": _COMMON | _DISTILBERT | {"dropout": 0.1, "attention_dropout": 0.1},
    "mobilebert": _COMMON | _BERT_BASE | _MOBILEBERT,
}
# What would change the function that the weights compute, and the only value that this project has.
_REQUIRED = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}
_FLAGS = ("use_bottleneck_attention", "key_query_shared_bottleneck", "classifier_activation")


def family_of(config: EncoderConfig) -> Family:
    """Which of transformers' classes a config belongs to: BERT or DistilBERT where it is one, else MobileBERT."""
    plain = not config.use_bottleneck and config.num_feed_forward == 1 and config.norm == "layer_norm"
    if plain and not config.projects_embedding and config.norm_epsilon_places == "all":
        return "bert" if config.num_token_types else "distilbert"
    return "mobilebert"


def to_fields(config: EncoderConfig, *, pooler: bool) -> dict[str, object]:
    """The config.json of transformers' class for this config, without `architectures`.

    Args:
        config: what is built.
        pooler: whether the first token's state goes through a dense layer and tanh (MobileBERT only).

    Raises:
        ValueError: the knob that transformers cannot express, its value and the way out.
    """
    family = family_of(config)
    _check_expressible(config, family)
    fields: dict[str, object] = {"model_type": family, "pad_token_id": 0, "tie_word_embeddings": True}
    fields |= {theirs: getattr(config, ours) for theirs, ours in FIELDS[family].items()}
    if family == "mobilebert":
        fields["use_bottleneck_attention"] = config.attention_input == "bottleneck"
        fields["key_query_shared_bottleneck"] = config.attention_input == "shared_bottleneck"
        fields["classifier_activation"] = pooler
    return fields


def from_fields(document: object, place: str) -> tuple[EncoderConfig, Family, Fields]:
    """The config that a config.json describes, its family, and all its fields with defaults filled in.

    Args:
        document: what the JSON file holds.
        place: where it came from, for errors.

    Raises:
        ValueError: another architecture, or a field whose value this project cannot build.
    """
    family, fields = _fields_of(document, place)
    values = {ours: fields[theirs] for theirs, ours in FIELDS[family].items()}
    if family == "mobilebert":
        values |= _mobilebert_values(fields, place)
    else:
        plain = {"bottleneck_size": values["hidden_size"], "embedding_size": values["hidden_size"]}
        values |= plain | {"use_bottleneck": False, "trigram": False}
    if family == "distilbert":
        values |= {"num_token_types": 0, "norm_epsilon": FIXED_EPSILON}
    try:
        return EncoderConfig(**values), family, fields
    except ValueError as error:
        theirs = {ours: name for name, ours in FIELDS[family].items()}.get(str(error).split(" ")[0])
        raise ValueError(f"{place}{f', {theirs}' if theirs else ''}: {error}") from error


def _fields_of(document: object, place: str) -> tuple[Family, dict[str, Any]]:
    if not isinstance(document, dict):
        raise ValueError(f"{place} must hold a JSON object, got {type(document).__name__}")
    family = document.get("model_type")
    if not isinstance(family, str) or family not in DEFAULTS:
        raise ValueError(f"{place}: model_type must be one of {', '.join(DEFAULTS)}; got {family!r}")
    fields = {**DEFAULTS[family], **document}
    for name, only in _REQUIRED.items():
        if fields.get(name, only) != only:
            raise ValueError(f"{place}: {name} must be {only!r}, got {fields[name]!r}: no encoder here has it")
    for name in FIELDS[family]:
        if isinstance(fields[name], int) and fields[name] > LARGEST:
            raise ValueError(f"{place}: {name} must be at most {LARGEST}, got {fields[name]}")
    return family, fields


def _mobilebert_values(fields: Fields, place: str) -> dict[str, object]:
    for name in _FLAGS:
        if not isinstance(fields[name], bool):
            raise ValueError(f"{place}: {name} must be true or false, got {fields[name]!r}")
    same = fields["intra_bottleneck_size"] == fields["hidden_size"]
    values: dict[str, object] = {"attention_input": "block_input"}
    if fields["use_bottleneck"] is False:
        values["bottleneck_size"] = fields["hidden_size"]
    elif fields["use_bottleneck_attention"]:
        values["attention_input"] = "bottleneck"
    elif fields["key_query_shared_bottleneck"]:
        values["attention_input"] = "shared_bottleneck"
    elif not same:
        raise ValueError(
            f"{place}: use_bottleneck_attention or key_query_shared_bottleneck must be true, got false for both: "
            "transformers cannot run such a model unless intra_bottleneck_size equals hidden_size"
        )
    if fields["normalization_type"] == "layer_norm" and fields["layer_norm_eps"] != FRAMEWORK_EPSILON:
        values["norm_epsilon_places"] = "transformers"
    return values


def _check_expressible(config: EncoderConfig, family: Family) -> None:
    if config.feed_forward != "dense":
        raise ValueError(
            f"transformers cannot express feed_forward={config.feed_forward!r}, code of one's own; set "
            "feed_forward='dense'"
        )
    if family == "distilbert" and config.norm_epsilon != FIXED_EPSILON:
        raise ValueError(
            f"transformers' DistilBERT has norm_epsilon 1e-12 and no other, got {config.norm_epsilon!r}; "
            "set norm_epsilon=1e-12"
        )
    if family != "mobilebert":
        return
    if not config.num_token_types:
        raise ValueError(
            "transformers' MobileBERT cannot express num_token_types=0; set it to 1 or more, or build a plain BERT "
            "(DistilBERT)"
        )
    raw = config.use_bottleneck and config.attention_input == "block_input"
    if raw and config.bottleneck_size != config.hidden_size:
        raise ValueError(
            "transformers' MobileBERT cannot express attention_input='block_input' (the paper's block, the "
            f"inverted-bottleneck teacher) with bottleneck_size {config.bottleneck_size} beside hidden_size "
            f"{config.hidden_size}; only attention_input 'shared_bottleneck' or 'bottleneck' can be written"
        )
    everywhere = config.norm == "layer_norm" and config.norm_epsilon_places == "all"
    if everywhere and config.norm_epsilon != FRAMEWORK_EPSILON:
        raise ValueError(
            "transformers' MobileBERT has 1e-5 in two LayerNorms whatever its config says, so "
            f"norm_epsilon_places='all' with norm_epsilon={config.norm_epsilon!r} cannot be written; "
            "set norm_epsilon_places='transformers' or norm_epsilon=1e-5"
        )
