"""The BiLSTM student of Tang et al. as a value, with its cost; knows nothing of torch.

Source: Tang et al. 2019, "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks", arXiv 1903.12136.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from model_zoo.cost import ComponentCost, Cost
from model_zoo.short_html import short_table, told_fields

Form = Literal["sentence", "pair"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BiLSTMConfig:
    """One bidirectional LSTM layer, a hidden dense layer with ReLU, and logits.

    Raises ValueError, naming field, value and way out, for a config that cannot be built.

    >>> BiLSTMConfig(form="pair", num_outputs=3).feature_size
    1200
    """

    form: Form = "sentence"
    """`pair` runs both texts through the same LSTM (siamese) and joins [h1, h2, h1 * h2, |h1 - h2|]."""
    embedding_size: int = 300
    """Width of one channel of word vectors (word2vec's)."""
    num_channels: int = 2
    """1: word vectors that train; 2: a copy that stays fixed beside them, concatenated (Kim 2014, arXiv 1408.5882)."""
    hidden_size: int = 150
    """Of one direction."""
    dense_size: int = 200
    num_outputs: int = 2
    vocab_size: int = 30522
    initializer_range: float = 0.1
    """Standard deviation of the word vectors where none are loaded."""

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise ValueError(f"form must be one of {', '.join(get_args(Form))}; got {self.form!r}")
        for name in ("embedding_size", "num_channels", "hidden_size", "dense_size", "num_outputs", "vocab_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if self.num_channels > 2:
            raise ValueError(f"num_channels must be 1 (trained) or 2 (trained and fixed), got {self.num_channels}")
        if not 0.0 < self.initializer_range < float("inf"):
            raise ValueError(f"initializer_range must be above 0 and finite, got {self.initializer_range!r}")

    @property
    def feature_size(self) -> int:
        """Width of what the dense layer reads."""
        return 2 * self.hidden_size * (4 if self.form == "pair" else 1)

    def _repr_html_(self) -> str:
        """In a notebook: the fields away from their default, parameters and FLOPs."""
        return short_table("BiLSTMConfig", [*told_fields(self), *bilstm_cost(self).total_rows()])


def tang_sentence() -> BiLSTMConfig:
    """The student for single sentences, SST-2 (Tang et al. 2019, arXiv 1903.12136): 0.963 M without word vectors.

    Published: 0.96 M. The paper's sizes are from memory (hidden 150 or 300, dense 200 or 400, one or two channels of
    300-wide word vectors); of these only 150 and 200 with two channels have the published count, so these are built.
    """
    return BiLSTMConfig()


def tang_pair() -> BiLSTMConfig:
    """The siamese student for pairs, MNLI's three labels (Tang et al. 2019, arXiv 1903.12136): 1.143 M without word
    vectors.

    No published count; 0.18 M more than for one sentence, the dense layer that reads four joined features.
    """
    return BiLSTMConfig(form="pair", num_outputs=3)


def bilstm_cost(config: BiLSTMConfig, length: int = 128) -> Cost:
    """Parameters and FLOPs of each component, for one text of `length` words, or a pair of such texts.

    Parameters are exact and include both channels of word vectors, the fixed one too. FLOPs are 2 x multiply-adds of
    the LSTM's matrices and the dense layers; not counted: look-ups, gates, biases.

    >>> sum(part.parameters for part in bilstm_cost(tang_sentence()).components if part.name != "embedding")
    963002
    """
    if length < 1:
        raise ValueError(f"length must be at least 1 token, got {length}")
    inputs, hidden = config.num_channels * config.embedding_size, config.hidden_size
    texts = 2 if config.form == "pair" else 1
    matrices = 2 * 4 * hidden * (inputs + hidden)
    dense = config.feature_size * config.dense_size
    output = config.dense_size * config.num_outputs
    parts = (
        ComponentCost(name="embedding", parameters=config.vocab_size * inputs, flops=0),
        ComponentCost(name="lstm", parameters=matrices + 2 * 8 * hidden, flops=2 * texts * length * matrices),
        ComponentCost(name="dense", parameters=dense + config.dense_size, flops=2 * dense),
        ComponentCost(name="output", parameters=output + config.num_outputs, flops=2 * output),
    )
    return Cost(components=parts, length=length)
