"""The BiLSTM student: its published size, what it reads and what it does not, and how a pair is joined."""

import dataclasses
import re
from typing import Any

import pytest
import torch
from torch import Tensor

from model_zoo.bilstm import BiLSTM
from model_zoo.bilstm_config import BiLSTMConfig, bilstm_cost, tang_pair, tang_sentence
from model_zoo.encoder import count_parameters

SIZES = {"embedding_size": 5, "hidden_size": 4, "dense_size": 6, "num_outputs": 3, "vocab_size": 20}


def made(seed: int = 0, **fields: Any) -> BiLSTM:
    torch.manual_seed(seed)
    return BiLSTM(BiLSTMConfig(**(SIZES | {"initializer_range": 0.5} | fields))).eval()


def texts(sizes: tuple[int, ...] = (4, 7, 1), length: int = 7, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(length)[None] < torch.tensor(sizes)[:, None]
    return torch.randint(20, (len(sizes), length), generator=generator), mask


def test_the_student_has_the_published_number_of_parameters_without_word_vectors() -> None:
    with torch.device("meta"):
        network = BiLSTM(tang_sentence())
    vectors = 2 * 30522 * 300
    assert count_parameters(network) - vectors == 963_002
    assert count_parameters(network) == bilstm_cost(tang_sentence()).parameters


@pytest.mark.parametrize(("preset", "millions"), [(tang_sentence, 0.963), (tang_pair, 1.143)])
def test_the_docstrings_have_the_counts(preset: Any, millions: float) -> None:
    parts = bilstm_cost(preset()).components
    assert round(sum(part.parameters for part in parts if part.name != "embedding") / 1e6, 3) == millions
    assert f"{millions} M" in preset.__doc__


@pytest.mark.parametrize("form", ["sentence", "pair"])
@pytest.mark.parametrize("channels", [1, 2])
def test_cost_is_that_of_the_built_parts(form: str, channels: int) -> None:
    network = made(form=form, num_channels=channels)
    built = {
        "embedding": count_parameters(network.tokens)
        + (count_parameters(network.fixed_tokens) if network.fixed_tokens is not None else 0),
        "lstm": count_parameters(network.lstm),
        "dense": count_parameters(network.dense),
        "output": count_parameters(network.output),
    }
    found = bilstm_cost(network.config)
    assert {part.name: part.parameters for part in found.components} == built
    assert found.parameters == count_parameters(network)


def test_flops_are_those_of_the_matrices() -> None:
    # One direction, one word: 4 gates x 4 units x (2 x 5 inputs + 4 states) multiply-adds; two directions, 9 words.
    lstm = 2 * 9 * 2 * 4 * 4 * (10 + 4)
    assert bilstm_cost(BiLSTMConfig(**SIZES), 9).flops == lstm + 2 * (8 * 6 + 6 * 3)
    assert bilstm_cost(BiLSTMConfig(**SIZES, form="pair"), 9).flops == 2 * lstm + 2 * (32 * 6 + 6 * 3)
    with pytest.raises(ValueError, match="length must be at least 1 token, got 0"):
        bilstm_cost(tang_sentence(), 0)


def by_hand(network: BiLSTM, words: Tensor, suffix: str) -> Tensor:
    """Last state of one direction over one text, gate by gate (Hochreiter and Schmidhuber 1997; torch's gate order)."""
    weights = dict(network.lstm.named_parameters())
    hidden = cell = torch.zeros(4)
    for word in words:
        gates = weights[f"weight_ih_l0{suffix}"] @ word + weights[f"bias_ih_l0{suffix}"]
        gates = gates + weights[f"weight_hh_l0{suffix}"] @ hidden + weights[f"bias_hh_l0{suffix}"]
        enter, forget, new, out = gates.chunk(4)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = out.sigmoid() * cell.tanh()
    return hidden


def test_states_are_the_last_of_each_direction_over_real_words_only() -> None:
    network = made()
    token_ids, mask = texts()
    found = network.encode(token_ids, mask)
    assert network.fixed_tokens is not None
    for row, size in enumerate((4, 7, 1)):
        ids = token_ids[row, :size]
        words = torch.cat((network.fixed_tokens.weight[ids], network.tokens.weight[ids]), dim=-1)
        expected = torch.cat((by_hand(network, words, ""), by_hand(network, words.flip(0), "_reverse")))
        torch.testing.assert_close(found[row], expected, atol=1e-6, rtol=1e-5)


def test_padding_never_changes_a_result_and_batch_order_does_not_matter() -> None:
    network = made()
    token_ids, mask = texts()
    expected = network(token_ids, mask)
    torch.testing.assert_close(network(token_ids.masked_fill(~mask, 3), mask), expected)
    torch.testing.assert_close(network(token_ids[:1, :4], mask[:1, :4]), expected[:1])
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(network(token_ids[order], mask[order]), expected[order])


def test_logits_of_a_sentence_are_those_of_the_formula() -> None:
    network = made()
    states = network.encode(*texts())
    hidden = (states @ network.dense.weight.T + network.dense.bias).clamp(min=0)
    torch.testing.assert_close(network(*texts()), hidden @ network.output.weight.T + network.output.bias)


def test_a_pair_is_joined_from_two_runs_of_one_encoder() -> None:
    network = made(form="pair")
    first, second = texts(), texts((2, 3, 5), 5, seed=1)
    one, two = network.encode(*first), network.encode(*second)
    joined = torch.cat((one, two, one * two, (one - two).abs()), dim=1)
    hidden = (joined @ network.dense.weight.T + network.dense.bias).clamp(min=0)
    expected = hidden @ network.output.weight.T + network.output.bias
    torch.testing.assert_close(network(*first, *second), expected)


def test_the_fixed_channel_starts_equal_and_stays() -> None:
    network = made().train()
    assert network.fixed_tokens is not None
    vectors = torch.arange(100.0).view(20, 5) / 100
    network.load_word_vectors(vectors)
    optimizer = torch.optim.SGD([part for part in network.parameters() if part.requires_grad], lr=1.0)
    network(*texts()).square().sum().backward()
    optimizer.step()
    assert torch.equal(network.fixed_tokens.weight, vectors)
    assert not torch.equal(network.tokens.weight, vectors)
    assert made(num_channels=1).fixed_tokens is None


KNOBS: dict[str, tuple[Any, ...]] = {
    "form": ("pair",),
    "embedding_size": (6,),
    "num_channels": (1,),
    "hidden_size": (5,),
    "dense_size": (7,),
    "num_outputs": (2,),
    "vocab_size": (21,),
    "initializer_range": (0.1,),
}


def test_no_knob_is_dead() -> None:
    assert set(KNOBS) == {field.name for field in dataclasses.fields(BiLSTMConfig)}

    def behaviour(network: BiLSTM) -> tuple[int, list[float]]:
        return bilstm_cost(network.config).parameters, network.encode(*texts()).flatten().tolist()

    for name, values in KNOBS.items():
        for value in values:
            assert behaviour(made(**{name: value})) != behaviour(made()), name


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_channels": 3}, "num_channels must be 1 (trained) or 2 (trained and fixed), got 3"),
        ({"hidden_size": 0}, "hidden_size must be a whole number of at least 1, got 0"),
        ({"initializer_range": 0.0}, "initializer_range must be above 0 and finite, got 0.0"),
    ],
)
def test_a_config_that_cannot_be_built_says_why(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        BiLSTMConfig(**fields)


def test_the_wrong_number_of_texts_and_an_empty_text_are_refused() -> None:
    message = "form 'pair' takes two texts with a mask each, got no second text and no second mask"
    with pytest.raises(ValueError, match=message):
        made(form="pair")(*texts())
    message = "form 'sentence' takes one text with a mask each, got a second text and a second mask"
    with pytest.raises(ValueError, match=message):
        made()(*texts(), *texts())
    with pytest.raises(ValueError, match="every text must have at least 1 real word, row 1 has none"):
        made()(*texts((3, 0)))
