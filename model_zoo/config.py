"""One architecture of the MobileBERT family as a value; knows nothing of torch, data or training.

How the fields are called elsewhere (Sun et al. 2020, Table 1; Hugging Face `MobileBertConfig` / `BertConfig`):

| field               | paper             | Hugging Face                                            |
| ------------------- | ----------------- | ------------------------------------------------------- |
| num_layers          | L, "x24"          | num_hidden_layers                                       |
| hidden_size         | h_inter           | hidden_size                                             |
| bottleneck_size     | h_intra           | intra_bottleneck_size                                   |
| use_bottleneck      | input/output Linear rows | use_bottleneck                                   |
| num_heads           | #Head             | num_attention_heads                                     |
| num_feed_forward    | #FFN              | num_feedforward_networks                                |
| feed_forward_size   | h_FFN             | intermediate_size                                       |
| attention_input     | MHA h_input       | key_query_shared_bottleneck, use_bottleneck_attention   |
| feed_forward        | -                 | none: `dense` alone can be written                      |
| norm                | NoNorm/LayerNorm  | normalization_type                                      |
| activation          | gelu/relu         | hidden_act                                              |
| embedding_size      | h_embedding       | embedding_size                                          |
| trigram             | "3-convolution"   | trigram_input                                           |
| hidden_dropout      | -                 | hidden_dropout_prob                                     |
| attention_dropout   | -                 | attention_probs_dropout_prob                            |
| vocab_size          | -                 | vocab_size                                              |
| max_positions       | -                 | max_position_embeddings                                 |
| num_token_types     | -                 | type_vocab_size                                         |
| norm_epsilon        | -                 | layer_norm_eps                                          |
| norm_epsilon_places | -                 | none: fixed by the class                                |
| initializer_range   | -                 | initializer_range                                       |
"""

from dataclasses import dataclass
from typing import Literal, get_args

from model_zoo.own_code import is_own
from model_zoo.short_html import short_table, told_fields

AttentionInput = Literal["block_input", "shared_bottleneck", "bottleneck"]
Norm = Literal["layer_norm", "no_norm"]
Activation = Literal["gelu", "relu"]
NormEpsilonPlaces = Literal["all", "transformers"]
FRAMEWORK_EPSILON = 1e-5
"""torch's own for LayerNorm, see `EncoderConfig.norm_epsilon_places`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """An encoder: embeddings and `num_layers` equal blocks. Checked when made; vary it with `dataclasses.replace`.

    Raises ValueError, naming field, value and way out, for a config that cannot be built.

    >>> EncoderConfig(num_layers=2, hidden_size=128, bottleneck_size=16, num_heads=4, feed_forward_size=64).head_size
    4
    """

    num_layers: int
    hidden_size: int
    """Width of the map between blocks (h_inter)."""
    bottleneck_size: int
    """Width inside a block (h_intra): smaller than hidden_size is a bottleneck, larger an inverted bottleneck."""
    use_bottleneck: bool = True
    """False is plain BERT: no input and output projections, and then bottleneck_size must equal hidden_size."""
    num_heads: int
    num_feed_forward: int = 1
    """Stacked feed-forward networks in one block, each with its own residual and norm."""
    feed_forward_size: int
    feed_forward: str = "dense"
    """What is between a feed-forward's residual and norm: `dense`, the paper's two layers with an activation, or code
    of one's own as `model_zoo.own_code.own` names it, which may read any field."""
    attention_input: AttentionInput = "block_input"
    """Where Q, K and V come from: `block_input`: all from the h_inter map (the paper's Figure 1, the teacher);
    `shared_bottleneck`: Q and K from a second bottleneck of their own, V from the h_inter map (the released
    checkpoint); `bottleneck`: all from the block's input bottleneck (TINY). Plain BERT has `block_input`."""
    norm: Norm = "layer_norm"
    activation: Activation = "gelu"
    embedding_size: int = 128
    trigram: bool = True
    """Concatenate the embeddings of next, this and previous token before projecting to hidden_size."""
    hidden_dropout: float = 0.1
    """After the embeddings and the output bottleneck; in plain BERT after attention and feed-forward too."""
    attention_dropout: float = 0.1
    vocab_size: int = 30522
    max_positions: int = 512
    num_token_types: int = 2
    """0 is an encoder without a token-type table (DistilBERT): what it is given as token types changes nothing."""
    norm_epsilon: float = 1e-12
    norm_epsilon_places: NormEpsilonPlaces = "all"
    """Which LayerNorms have `norm_epsilon`: `all`, or all but the embedding's and the last feed-forward's of each
    block, which have torch's default 1e-5 (`transformers`: how its MobileBERT is built, reference section 7.5)."""
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        _check_types(self)
        _check_sizes(self)
        _check_choices(self)
        _check_combinations(self)

    @property
    def head_size(self) -> int:
        """Channels of one attention head, bottleneck_size / num_heads."""
        return self.bottleneck_size // self.num_heads

    @property
    def projects_embedding(self) -> bool:
        """Whether a dense layer takes the embeddings to hidden_size."""
        return self.trigram or self.embedding_size != self.hidden_size

    def _repr_html_(self) -> str:
        """In a notebook: the fields without a default or away from it, parameters and FLOPs."""
        from model_zoo.cost import cost_rows  # which reads configs

        return short_table("EncoderConfig", [*told_fields(self), *cost_rows(self)])


_SIZES = (
    "num_layers",
    "hidden_size",
    "bottleneck_size",
    "num_heads",
    "num_feed_forward",
    "feed_forward_size",
    "embedding_size",
    "vocab_size",
    "max_positions",
)
_CHOICES = {
    "attention_input": get_args(AttentionInput),
    "norm": get_args(Norm),
    "activation": get_args(Activation),
    "norm_epsilon_places": get_args(NormEpsilonPlaces),
}


def _check_types(config: EncoderConfig) -> None:
    for name in ("use_bottleneck", "trigram"):
        if not isinstance(getattr(config, name), bool):
            raise ValueError(f"{name} must be true or false, got {getattr(config, name)!r}")
    for name in ("hidden_dropout", "attention_dropout", "norm_epsilon", "initializer_range"):
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} must be a number, got {value!r}")


def _check_sizes(config: EncoderConfig) -> None:
    for name, least in (*((name, 1) for name in _SIZES), ("num_token_types", 0)):
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    for name in ("hidden_dropout", "attention_dropout"):
        if not 0.0 <= getattr(config, name) < 1.0:
            raise ValueError(f"{name} must be at least 0 and below 1, got {getattr(config, name)!r}")
    for name in ("norm_epsilon", "initializer_range"):
        if not 0.0 < getattr(config, name) < float("inf"):
            raise ValueError(f"{name} must be above 0 and finite, got {getattr(config, name)!r}")


def _check_choices(config: EncoderConfig) -> None:
    for name, allowed in _CHOICES.items():
        if getattr(config, name) not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {getattr(config, name)!r}")
    if config.feed_forward != "dense" and not is_own(config.feed_forward):
        raise ValueError(
            f"feed_forward must be 'dense' or what own('module:name') gives, got {config.feed_forward!r}; take it from "
            "model_zoo.own_code.own"
        )


def _check_combinations(config: EncoderConfig) -> None:
    if config.bottleneck_size % config.num_heads:
        possible = [n for n in range(1, config.bottleneck_size + 1) if config.bottleneck_size % n == 0]
        nearest = sorted(sorted(possible, key=lambda n: abs(n - config.num_heads))[:4])
        raise ValueError(
            f"num_heads must divide bottleneck_size, got {config.num_heads} heads for {config.bottleneck_size}; "
            f"{', '.join(map(str, nearest))} would do"
        )
    if not config.use_bottleneck and config.bottleneck_size != config.hidden_size:
        raise ValueError(
            f"without a bottleneck bottleneck_size must equal hidden_size, got {config.bottleneck_size} and "
            f"{config.hidden_size}; set use_bottleneck=True or make them equal"
        )
    if not config.use_bottleneck and config.attention_input != "block_input":
        raise ValueError(
            f"without a bottleneck attention_input must be 'block_input', got {config.attention_input!r}; "
            "set use_bottleneck=True"
        )
    if config.norm == "no_norm" and config.norm_epsilon_places != "all":
        raise ValueError(
            f"with NoNorm norm_epsilon_places must be 'all', got {config.norm_epsilon_places!r}: NoNorm has no "
            "epsilon; set norm='layer_norm'"
        )
    if config.embedding_size > config.hidden_size:
        raise ValueError(
            f"embedding_size must be at most hidden_size, got {config.embedding_size} and {config.hidden_size}: "
            "the masked-language head ties its output to the embedding table"
        )
