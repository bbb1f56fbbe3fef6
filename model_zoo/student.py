"""What a trial can train, as a value: an encoder or a BiLSTM; and what it costs."""

from dataclasses import replace
from typing import TypeAlias

from model_zoo.bilstm_config import BiLSTMConfig, bilstm_cost
from model_zoo.config import EncoderConfig
from model_zoo.cost import Cost, cost

Student: TypeAlias = EncoderConfig | BiLSTMConfig


def student_cost(student: Student, length: int = 128) -> Cost:
    """Parameters and FLOPs of each component, without what a task adds, for one sequence of `length` tokens.

    Of a BiLSTM: word vectors, LSTM, and the dense layer in its largest form, that of a pair, whose two texts share the
    tokens. It is counted, unlike an encoder's heads, because it is as large as the LSTM; the logits' layer is not.

    >>> [part.name for part in student_cost(BiLSTMConfig()).components]
    ['embedding', 'lstm', 'dense']
    """
    if isinstance(student, EncoderConfig):
        return cost(student, length)
    single, pair = bilstm_cost(student, length), bilstm_cost(replace(student, form="pair"), length)
    read = tuple(part for part in single.components if part.name in ("embedding", "lstm"))
    return Cost(components=(*read, *(part for part in pair.components if part.name == "dense")), length=length)


def student_scope(student: Student) -> str:
    """What `student_cost` counts, in a few words."""
    if isinstance(student, EncoderConfig):
        return "encoder with embeddings, no heads"
    return "word vectors, LSTM and the dense layer of a pair, no logits' layer"
