"""A BiLSTM under a task: which tokens are which text, what it answers, and what it costs."""

from typing import Any

import pytest
import torch
from torch import Tensor

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.bilstm_task import BiLSTMTask, second_texts
from model_zoo.cost import cost
from model_zoo.encoder import MASKED_SCORE, count_parameters
from model_zoo.presets import mobilebert
from model_zoo.student import student_cost

CONFIG = BiLSTMConfig(embedding_size=5, num_channels=1, hidden_size=4, dense_size=6, vocab_size=20)


def made(num_outputs: int, **fields: Any) -> BiLSTMTask:
    torch.manual_seed(0)
    return BiLSTMTask(CONFIG, num_outputs, **fields).eval()


def pairs(*sizes: tuple[int, int], length: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    """Random rows of two texts each, then padding."""
    ends = torch.tensor([[first, first + second] for first, second in sizes])
    places = torch.arange(length)[None]
    mask = places < ends[:, 1:]
    types = ((places >= ends[:, :1]) & mask).long()
    return torch.randint(20, mask.shape, generator=torch.Generator().manual_seed(1)), mask, types


def test_a_pairs_texts_are_read_apart_as_the_siamese_student_reads_them() -> None:
    network, (token_ids, mask, types) = made(3, pair=True), pairs((4, 3), (2, 7))
    answers = network(token_ids, mask, types)
    for row, (first, last) in enumerate(((4, 7), (2, 9))):
        one, other = token_ids[row : row + 1, :first], token_ids[row : row + 1, first:last]
        alone = network.network(one, torch.ones_like(one).bool(), other, torch.ones_like(other).bool())
        torch.testing.assert_close(answers[row : row + 1], alone)


def test_second_texts_come_first_in_their_rows() -> None:
    token_ids, mask, types = pairs((2, 3), (5, 1))
    second, is_real = second_texts(token_ids, mask, types)
    assert second.shape == (2, 3)
    assert is_real.tolist() == [[True, True, True], [True, False, False]]
    assert second[0].tolist() == token_ids[0, 2:5].tolist() and second[1, 0] == token_ids[1, 5]


@pytest.mark.parametrize("num_outputs", [0, 1, 3])
def test_padding_changes_no_answer(num_outputs: int) -> None:
    network, (token_ids, mask, types) = made(num_outputs), pairs((4, 2), (3, 1))
    longer = network(token_ids, mask, types)
    shorter = network(token_ids[:, :6], mask[:, :6], types[:, :6])
    torch.testing.assert_close(longer[:, :6] if num_outputs == 0 else longer, shorter)


def test_a_span_has_two_logits_at_every_token_and_none_at_padding() -> None:
    token_ids, mask, types = pairs((4, 2), (3, 1))
    logits = made(0, pair=True)(token_ids, mask, types)
    assert logits.shape == (2, 9, 2)
    assert bool((logits[~mask] == MASKED_SCORE).all()) and bool((logits[mask].abs() < 10).all())


def test_every_token_of_a_span_is_read_with_what_comes_after_and_before() -> None:
    network, (token_ids, mask, types) = made(0), pairs((4, 2))
    other = token_ids.clone()
    other[0, 3] = (token_ids[0, 3] + 1) % 20
    changed = (network(token_ids, mask, types) != network(other, mask, types)).all(-1)
    assert changed[0].tolist() == [True] * 6 + [False] * 3


def test_a_pair_without_a_second_text_is_refused() -> None:
    with pytest.raises(ValueError, match="every text must have at least 1 real word, row 1 has none"):
        made(2, pair=True)(*pairs((4, 2), (3, 0)))


def test_the_cost_is_that_of_the_built_pair_without_its_logits() -> None:
    network = made(3, pair=True).network
    assert student_cost(CONFIG).parameters == count_parameters(network) - count_parameters(network.output)


def test_an_encoders_cost_is_what_it_was() -> None:
    assert student_cost(mobilebert(), 7) == cost(mobilebert(), 7)
