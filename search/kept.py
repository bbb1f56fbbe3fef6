"""What one update of an encoder keeps until its backward pass is over, from the values alone. Knows nothing of torch.

Not counted: dropout masks, and results that live within one operation or between two (but for those of an attention's
loss, which are as large as its maps). Attention whose scores nobody compares is taken to be fused, as it is on a GPU;
on a CPU it is so without dropout alone.
"""

from model_zoo.config import EncoderConfig
from model_zoo.cost import feed_forward_numbers
from search.passes import Pass
from search.recipe import KnowledgeTransfer
from search.trial import TrialSpec

NUMBER_BYTES = 4
"""Weights, gradients, moments, logits, attention scores and what losses compare are float32."""

PASSING_MAPS = 3
"""As large as a block's attention, made and dropped by the attention's loss: the teacher's, the difference, a product.
"""


def kept_numbers(config: EncoderConfig, length: int) -> int:
    """Numbers that one sequence keeps for the backward pass of a whole encoder whose attention is fused."""
    embedding = length * _embedding_numbers(config)
    return embedding + config.num_layers * _block_numbers(config, length)


def _embedding_numbers(config: EncoderConfig) -> int:
    """Of one token: what the projection reads, what the norm reads, and the map."""
    read = config.embedding_size * (3 if config.trigram else 1) if config.projects_embedding else 0
    return read + 2 * config.hidden_size


def _block_numbers(config: EncoderConfig, length: int) -> int:
    """Of one sequence in one block: what dense layers, norms and activations read, and the map.

    A relu's backward pass reads its result, which the next dense layer keeps anyway; a gelu's reads its input too.
    """
    narrow, wide = config.bottleneck_size, config.hidden_size
    numbers = length * (3 * narrow + narrow + 2 * narrow)  # Q, K, V; context; what the norm reads and gives
    if config.use_bottleneck:
        into = {"block_input": 1, "bottleneck": 2, "shared_bottleneck": 3}[config.attention_input]
        numbers += length * (into * narrow + 2 * wide)
    return numbers + config.num_feed_forward * (_feed_forward_numbers(config, length) + length * 2 * narrow)


def _feed_forward_numbers(config: EncoderConfig, length: int) -> int:
    inside = feed_forward_numbers(config, length)
    return inside // 2 if config.feed_forward == "dense" and config.activation == "relu" else inside


def activation_bytes_of(spec: TrialSpec, one: Pass, sequences: int, activation_bytes: int) -> int:
    """Of one update on some sequences, teachers' outputs and logits included.

    Args:
        activation_bytes: of a number that is not always float32.
    """
    config, length = spec.encoder, spec.data.length
    embedding = _embedding_numbers(config) if one.trains_embedding else config.hidden_size
    below = one.blocks - one.trained_blocks
    numbers = length * (embedding + below * config.hidden_size) + one.trained_blocks * _block_numbers(config, length)
    compared = _compared_numbers(spec, one) + _teacher_numbers(spec, one)
    kept = sequences * (numbers * activation_bytes + compared * NUMBER_BYTES)
    return kept + _vocabulary_bytes(config, one, sequences)


def _compared_numbers(spec: TrialSpec, one: Pass) -> int:
    """Of one sequence: scores, and what the losses keep of maps and scores."""
    config, length, transfer = spec.encoder, spec.data.length, one.transfer
    if transfer is None:
        return one.compared_maps * length * config.hidden_size
    width = config.hidden_size
    copies = 1  # the difference
    if transfer.projection:
        assert spec.teacher is not None
        width, copies = spec.teacher.encoder.hidden_size, 2 if transfer.feature_map_form == "released" else 1
    numbers = one.compared_maps * copies * length * width
    if one.scores:
        # Scores live until the loss is there, their softmax until the backward pass; heads on average are one map.
        square = config.num_heads * length * length
        numbers += (one.blocks + one.trained_blocks) * square
        numbers += one.compared_scores * _attention_loss_numbers(transfer, config, length)
        numbers += PASSING_MAPS * square if one.compared_scores else 0
    return numbers


def _attention_loss_numbers(transfer: KnowledgeTransfer, config: EncoderConfig, length: int) -> int:
    """Of one block: log-probabilities of the student and probabilities of the teacher, or the difference of scores."""
    square = config.num_heads * length * length
    if transfer.attention_form == "scores":
        return square
    return square + 2 * length * length if transfer.average_heads else 2 * square


def _teacher_numbers(spec: TrialSpec, one: Pass) -> int:
    """Of one sequence: the outputs of teachers that the losses hold."""
    length = spec.data.length
    return sum(
        answer.maps * length * answer.config.hidden_size + answer.scores * answer.config.num_heads * length * length
        for answer in one.answers
    )


def _vocabulary_bytes(config: EncoderConfig, one: Pass, sequences: int) -> int:
    """Logits as often as they are held; where the word table has extra columns, both joined, and their gradient."""
    if not one.positions:
        return 0
    logits = sequences * one.positions * config.vocab_size
    joined = config.vocab_size * config.hidden_size if config.hidden_size > config.embedding_size else 0
    return NUMBER_BYTES * (joined + max(one.vocabulary_copies * logits, logits + joined))
