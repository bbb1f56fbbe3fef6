"""Heads: what they add, what they tie, where they look."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from model_zoo.encoder import Encoder, count_parameters
from model_zoo.heads import FirstTokenHead, MaskedLanguageHead, SpanHead
from model_zoo.networks import PreTrainingNetwork, TaskNetwork


def test_the_masked_language_head_has_an_extra_matrix_only_where_embeddings_are_narrower(small: Any) -> None:
    narrow, wide = MaskedLanguageHead(small()), MaskedLanguageHead(small(embedding_size=16))
    assert narrow.extra is not None and tuple(narrow.extra.shape) == (40, 10)
    assert wide.extra is None
    assert count_parameters(wide) == 16 * 16 + 16 + 2 * 16 + 40
    assert count_parameters(narrow) == count_parameters(wide) + 40 * 10


def test_the_head_keeps_a_true_layer_norm_in_a_no_norm_student(small: Any) -> None:
    assert isinstance(MaskedLanguageHead(small(norm="no_norm")).norm, torch.nn.LayerNorm)


@pytest.mark.parametrize("embedding_size", [6, 16])
def test_masked_language_logits_are_those_of_the_formula(small: Any, inputs: Any, embedding_size: int) -> None:
    network = PreTrainingNetwork(small(embedding_size=embedding_size, activation="relu")).eval()
    head = network.masked_language
    with torch.no_grad():
        head.bias.copy_(torch.arange(40.0))
        head.norm.bias.fill_(0.1)
    token_ids, mask, token_types = inputs()
    positions = torch.tensor([0, 13, 30])  # row 0 place 0, row 1 place 1, row 2 place 6
    found = network(token_ids, mask, token_types, positions).masked_language
    hidden = network.encoder(token_ids, mask, token_types).feature_maps[-1]
    chosen = torch.stack((hidden[0, 0], hidden[1, 1], hidden[2, 6]))
    state = functional.relu(chosen @ head.dense.weight.T + head.dense.bias)
    state = functional.layer_norm(state, (16,), head.norm.weight, head.norm.bias, 1e-12)
    table = network.encoder.embedding.tokens.weight
    expected = state[:, :embedding_size] @ table.T + torch.arange(40.0)
    if head.extra is not None:
        expected = expected + state[:, embedding_size:] @ head.extra.T
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_gradient_of_the_masked_language_head_reaches_the_word_table(small: Any) -> None:
    network = PreTrainingNetwork(small())
    feature_map = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(0))
    logits = network.logits(feature_map, torch.tensor([1, 6])).masked_language
    functional.cross_entropy(logits, torch.tensor([3, 4])).backward()
    gradient = network.encoder.embedding.tokens.weight.grad
    assert gradient is not None and gradient.abs().sum() > 0
    assert "tokens" not in "".join(name for name, _ in network.masked_language.named_parameters())


@pytest.mark.parametrize("pooler", [False, True])
def test_a_first_token_head_reads_the_first_token_only(small: Any, pooler: bool) -> None:
    head = FirstTokenHead(small(), 3, pooler=pooler).eval()
    feature_map = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
    state = feature_map[:, 0]
    if head.pooler is not None:
        state = torch.tanh(state @ head.pooler.weight.T + head.pooler.bias)
    torch.testing.assert_close(head(feature_map), state @ head.dense.weight.T + head.dense.bias)
    feature_map[:, 1:] += 1
    torch.testing.assert_close(head(feature_map), state @ head.dense.weight.T + head.dense.bias)
    assert count_parameters(head) == 3 * 17 + (16 * 17 if pooler else 0)


def test_the_dropout_of_a_first_token_head_is_that_of_the_config(small: Any) -> None:
    assert FirstTokenHead(small(hidden_dropout=0.25), 2, pooler=False).dropout.p == 0.25


def test_a_span_head_scores_start_and_end_of_every_token(small: Any) -> None:
    head = SpanHead(small())
    assert head(torch.zeros(2, 5, 16)).shape == (2, 5, 2)
    assert count_parameters(head) == 2 * 17


def test_a_task_network_has_the_head_of_its_kind(small: Any, inputs: Any) -> None:
    encoder = Encoder(small()).eval()
    assert TaskNetwork(encoder, 3).eval()(*inputs()).shape == (3, 3)
    assert TaskNetwork(encoder, 1).eval()(*inputs()).shape == (3, 1)
    assert TaskNetwork(encoder, 0).eval()(*inputs()).shape == (3, 12, 2)


def test_no_answer_lies_in_padding(small: Any, inputs: Any) -> None:
    token_ids, mask, token_types = inputs()
    logits = TaskNetwork(Encoder(small()).eval(), 0)(token_ids, mask, token_types)
    assert (logits[~mask] == -10000).all()
    assert (logits[mask].abs() < 1000).all()


def test_next_sentence_logits_come_from_the_last_map(small: Any, inputs: Any) -> None:
    network = PreTrainingNetwork(small(), pooler=True).eval()
    found = network(*inputs(), torch.tensor([0])).next_sentence
    expected = network.next_sentence(network.encoder(*inputs()).feature_maps[-1])
    assert found.shape == (3, 2)
    assert torch.equal(found, expected)
