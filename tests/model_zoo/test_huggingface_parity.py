"""Our networks against transformers' own on the same random weights, both ways, in float32.

The error between two tensors is max|a - b| / max|b|. Blocks are compared at real positions: what a padded position
holds is nobody's result, and where the trigram reads padding the two differ there.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from model_zoo.encoder import Encoder
from model_zoo.huggingface import from_huggingface, to_huggingface
from model_zoo.networks import PreTrainingNetwork
from model_zoo.presets import PRESETS
from model_zoo.transformers_config import to_fields

# transformers' MobileBERT without narrow embeddings makes an extra output matrix without columns.
pytestmark = pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
LIMIT = 1e-5
PAD = 0

SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", {"intermediate_size": 24}),
    "bert with relu and a large epsilon": ("Bert", {"hidden_act": "relu", "layer_norm_eps": 0.1}),
    "tinybert": ("Bert", {"hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 50}),
    "distilbert": ("DistilBert", {}),
    "mobilebert released": ("MobileBert", {}),
    "mobilebert tiny": ("MobileBert", {"use_bottleneck_attention": True, "num_feedforward_networks": 2}),
    "mobilebert with layer norm": ("MobileBert", {"normalization_type": "layer_norm", "hidden_act": "gelu"}),
    "mobilebert tiny with layer norm": (
        "MobileBert",
        {
            "normalization_type": "layer_norm",
            "use_bottleneck_attention": True,
            "key_query_shared_bottleneck": False,
            "layer_norm_eps": 0.1,
        },
    ),
    "mobilebert as wide inside": (
        "MobileBert",
        {"intra_bottleneck_size": 16, "key_query_shared_bottleneck": False, "classifier_activation": False},
    ),
    "mobilebert without bottleneck or trigram": (
        "MobileBert",
        {"use_bottleneck": False, "trigram_input": False, "embedding_size": 16, "num_feedforward_networks": 1},
    ),
}
SIZES: dict[str, dict[str, Any]] = {
    "Bert": {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 24},
    "DistilBert": {"dim": 16, "n_layers": 3, "n_heads": 4, "hidden_dim": 24},
    "MobileBert": {
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 12,
        "intra_bottleneck_size": 8,
        "embedding_size": 6,
        "num_feedforward_networks": 3,
    },
}
HEADS = {"Bert": "ForPreTraining", "DistilBert": "ForMaskedLM", "MobileBert": "ForPreTraining"}


@pytest.fixture(scope="module")
def transformers() -> Iterator[Any]:
    module = pytest.importorskip("transformers")
    module.logging.set_verbosity_error()
    module.logging.disable_progress_bar()
    yield module


def scrambled(model: torch.nn.Module, seed: int = 0, scale: float = 0.2) -> Any:
    """Random values in every parameter, biases and norms included; the embedding of [PAD] is 0, as transformers starts
    and keeps it. Three gelus in a row and NoNorm make large maps: norm scales stay near 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
        model.get_input_embeddings().weight[PAD] = 0.0  # type: ignore[operator]
    return model.eval()


def made(transformers: Any, name: str, **more: Any) -> Any:
    kind, fields = SMALL[name]
    common = {"vocab_size": 40, "max_position_embeddings": 24, "initializer_range": 0.2}
    config = getattr(transformers, f"{kind}Config")(**(common | SIZES[kind] | fields | more))
    return scrambled(getattr(transformers, kind + HEADS[kind])(config))


def error(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max()).item()


def batch(vocab_size: int, sizes: tuple[int, ...], length: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    token_ids = torch.randint(1, vocab_size, (len(sizes), length), generator=generator)
    mask = torch.arange(length)[None] < torch.tensor(sizes)[:, None]
    types = torch.randint(2, (len(sizes), length), generator=generator)
    return token_ids.masked_fill(~mask, PAD), mask, types


def theirs_of(model: Any, token_ids: Tensor, mask: Tensor, types: Tensor) -> tuple[Any, Any]:
    """(what the bare model returns, what the heads return)."""
    inputs = {"input_ids": token_ids, "attention_mask": mask.long(), "output_hidden_states": True}
    if model.config.model_type != "distilbert":
        inputs["token_type_ids"] = types
    with torch.no_grad():
        return model.base_model(**inputs), model(**inputs)


def built(config: EncoderConfig, weights: dict[str, Tensor]) -> PreTrainingNetwork:
    """Our network of converted weights; what DistilBERT lacks stays as it was made."""
    network = PreTrainingNetwork(config, pooler="next_sentence.pooler.weight" in weights)
    result = network.load_state_dict(weights, strict=False)
    assert not result.unexpected_keys
    assert all(name.startswith("next_sentence.") for name in result.missing_keys)
    return network.eval()


def errors(model: Any, network: PreTrainingNetwork, inputs: tuple[Tensor, Tensor, Tensor]) -> dict[str, float]:
    token_ids, mask, types = inputs
    base, heads = theirs_of(model, token_ids, mask, types)
    found: dict[str, float] = {}
    with torch.no_grad():
        output = network.encoder(token_ids, mask, types)
        ours = (output.embedded, *output.feature_maps)
        assert len(ours) == len(base.hidden_states)
        for index, (one, other) in enumerate(zip(ours, base.hidden_states, strict=True)):
            found[f"map {index}"] = error(one[mask], other[mask])
        logits = network.logits(output.feature_maps[-1], mask.flatten().nonzero().flatten())
    expected = getattr(heads, "prediction_logits", None)
    masked = heads.logits if expected is None else expected
    found["masked language"] = error(logits.masked_language, masked[mask])
    if expected is not None:
        state = output.feature_maps[-1][:, 0]
        pooler = network.next_sentence.pooler
        pooled = state if pooler is None else torch.tanh(pooler(state))
        found["pooled"] = error(pooled, base.pooler_output)
        found["next sentence"] = error(logits.next_sentence, heads.seq_relationship_logits)
    return found


@pytest.mark.parametrize("sizes", [(12,), (9, 5, 12, 1)], ids=["one", "padded"])
@pytest.mark.parametrize("name", SMALL)
def test_blocks_pooled_output_and_logits_equal_transformers(transformers: Any, name: str, sizes: tuple[int]) -> None:
    model = made(transformers, name)
    network = built(*from_huggingface(model))
    found = errors(model, network, batch(40, sizes, 12))
    assert all(value <= LIMIT for value in found.values()), found


@pytest.mark.parametrize("name", [name for name in SMALL if name.startswith("mobilebert") and "trigram" not in name])
def test_with_a_pad_embedding_that_is_not_0_a_padded_row_equals_transformers_without_padding(
    transformers: Any, name: str
) -> None:
    model = made(transformers, name)
    with torch.no_grad():
        model.get_input_embeddings().weight[PAD] = 1.0
    network = built(*from_huggingface(model))
    token_ids, mask, types = batch(40, (9, 5), 12)
    with torch.no_grad():
        ours = network.encoder(token_ids, mask, types).feature_maps
    for row, size in enumerate((9, 5)):
        part = (slice(row, row + 1), slice(size))
        base, _ = theirs_of(model, token_ids[part], mask[part], types[part])
        for one, other in zip(ours, base.hidden_states[1:], strict=True):
            assert error(one[row, :size], other[0]) <= LIMIT
    padded, _ = theirs_of(model, token_ids, mask, types)
    assert error(ours[-1][mask], padded.last_hidden_state[mask]) > LIMIT, "the docstring says that they differ"


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", SMALL)
def test_there_and_back_is_bit_identical_through_transformers_own_files(
    transformers: Any, tmp_path: Path, name: str
) -> None:
    model = made(transformers, name)
    model.save_pretrained(tmp_path / "theirs")
    config, weights = from_huggingface(tmp_path / "theirs")
    assert same(weights, from_huggingface(model)[1])
    to_huggingface(config, weights, tmp_path / "ours")
    opened, report = type(model).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    again, state = from_huggingface(opened)[1], opened.state_dict()
    assert same(weights, again)
    # Nothing that the model runs is lost; the layers it never runs come back as zeros.
    dead = ("bottleneck.attention", "embedding_transformation")
    for key, value in model.state_dict().items():
        assert any(part in key for part in dead) or torch.equal(value, state[key]), key
    assert from_huggingface(tmp_path / "ours")[0] == config


OURS: dict[str, dict[str, Any]] = {
    "released": {"attention_input": "shared_bottleneck", "norm": "no_norm", "activation": "relu"},
    "tiny": {"attention_input": "bottleneck", "norm": "no_norm"},
    "layer norm": {"attention_input": "bottleneck", "norm_epsilon_places": "transformers"},
    "layer norm with torch's epsilon": {"attention_input": "shared_bottleneck", "norm_epsilon": 1e-5},
    "bert": {
        "use_bottleneck": False,
        "bottleneck_size": 16,
        "embedding_size": 16,
        "trigram": False,
        "num_feed_forward": 1,
    },
}


@pytest.mark.parametrize("pooler", [True, False])
@pytest.mark.parametrize("name", OURS)
def test_our_networks_come_back_bit_identical_and_open_in_transformers(
    transformers: Any, small: Callable[..., EncoderConfig], tmp_path: Path, name: str, pooler: bool
) -> None:
    config = small(**OURS[name])
    network = PreTrainingNetwork(config, pooler=pooler).eval()
    weights = network.state_dict()
    if name == "bert" and not pooler:
        weights = {key: tensor for key, tensor in weights.items() if not key.startswith("next_sentence.")}
    to_huggingface(config, weights, tmp_path / "out")
    back, again = from_huggingface(tmp_path / "out")
    assert back == config
    assert same(dict(weights), again)
    opened = transformers.AutoModel.from_pretrained(tmp_path / "out").eval()
    token_ids, mask, types = batch(40, (9,), 9)
    with torch.no_grad():
        theirs = opened(token_ids, attention_mask=mask.long(), token_type_ids=types).last_hidden_state
        ours = network.encoder(token_ids, mask, types).feature_maps[-1]
    assert error(ours, theirs) <= LIMIT


def test_an_encoder_alone_opens_in_transformers_with_nothing_missing(
    transformers: Any, small: Callable[..., EncoderConfig], tmp_path: Path
) -> None:
    config = small(**OURS["released"])
    weights = {f"encoder.{name}": tensor for name, tensor in Encoder(config).state_dict().items()}
    to_huggingface(config, weights, tmp_path / "out")
    model, report = transformers.AutoModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert type(model).__name__ == "MobileBertModel"
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == ["MobileBertModel"]
    assert same(weights, from_huggingface(model)[1])


WRITABLE = [name for name in PRESETS if name.startswith(("bert", "distilbert", "tinybert"))]
WRITABLE += ["mobilebert-released", "mobilebert-tiny"]


@pytest.mark.parametrize("name", WRITABLE)
def test_a_preset_has_as_many_parameters_as_transformers_makes_of_it(transformers: Any, name: str) -> None:
    config = PRESETS[name]()
    fields = to_fields(config, pooler=True)
    kind = {"bert": "Bert", "distilbert": "DistilBert", "mobilebert": "MobileBert"}[str(fields.pop("model_type"))]
    with torch.device("meta"):
        model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**fields))
    counted = sum(part.numel() for key, part in model.named_parameters() if not key.startswith("pooler."))
    assert counted == cost(config).parameters


FULL = {
    "bert-base": "Bert",
    "distilbert-6": "DistilBert",
    "tinybert-4": "Bert",
    "mobilebert-released": "MobileBert",
    "mobilebert-released-without-opt": "MobileBert",
    "mobilebert-tiny": "MobileBert",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_full_size_equals_transformers(transformers: Any, tmp_path: Path, name: str) -> None:
    """Weights as they start (standard deviation 0.02) with a little noise on norms and biases, 24 blocks and all."""
    from dataclasses import replace

    config = PRESETS[name]()
    if name.endswith("without-opt"):
        config = replace(config, norm_epsilon_places="transformers")
    torch.manual_seed(0)
    network = PreTrainingNetwork(config, pooler=True)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.02 * torch.randn(parameter.shape))
        network.encoder.embedding.tokens.weight[PAD] = 0.0
    dropped = ("next_sentence.",) if FULL[name] == "DistilBert" else ()
    weights = {key: value for key, value in network.state_dict().items() if not key.startswith(dropped or ("-",))}
    to_huggingface(config, weights, tmp_path / "out")
    kind = FULL[name]
    model = getattr(transformers, kind + HEADS[kind]).from_pretrained(tmp_path / "out").eval()
    found = errors(model, network.eval(), batch(30522, (32, 11), 32))
    print(name, f"largest error {max(found.values()):.1e}", max(found, key=lambda key: found[key]))
    assert all(value <= LIMIT for value in found.values()), found
    assert same(weights, from_huggingface(tmp_path / "out")[1])
