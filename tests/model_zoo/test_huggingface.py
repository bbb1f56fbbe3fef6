"""What cannot be converted is refused in one line that names the file, field, knob or tensor, and leaves nothing."""

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from model_zoo.config import EncoderConfig
from model_zoo.huggingface import from_huggingface, to_huggingface
from model_zoo.networks import PreTrainingNetwork
from model_zoo.presets import PRESETS
from model_zoo.transformers_config import family_of, from_fields, to_fields

Small = Callable[..., EncoderConfig]
RELEASED: dict[str, Any] = {"attention_input": "shared_bottleneck", "norm": "no_norm", "activation": "relu"}
QUERY = "encoder.layer.1.attention.self.query.weight"


def weights_of(config: EncoderConfig, *, pooler: bool = True) -> dict[str, Tensor]:
    return dict(PreTrainingNetwork(config, pooler=pooler).state_dict())


@pytest.fixture
def folder(small: Small, tmp_path: Path) -> Path:
    """A sound folder: the encoder of a small MobileBERT."""
    config = small(**RELEASED)
    weights = {name: tensor for name, tensor in weights_of(config).items() if name.startswith("encoder.")}
    to_huggingface(config, weights, tmp_path / "sound")
    return tmp_path / "sound"


def refused(folder: Path, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        from_huggingface(folder)
    assert "\n" not in str(caught.value)


def with_fields(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def with_tensors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the tensors and write them as another program would, without our digest."""
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    change(tensors)
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def test_a_sound_folder_is_read(folder: Path, small: Small) -> None:
    assert from_huggingface(str(folder))[0] == small(**RELEASED)


@pytest.mark.parametrize("left", [0, 4, 100, -1])
def test_a_truncated_weight_file_is_refused(folder: Path, left: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    refused(folder, r"model\.safetensors is truncated or no safetensors file \(.+\); get it again$")


def test_a_tensor_tampered_with_is_noticed_by_the_digest(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    refused(folder, r"model\.safetensors was changed after it was written: its tensors do not have its digest")


def test_a_header_tampered_with_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"[" + data[9:])
    refused(folder, r"model\.safetensors is truncated or no safetensors file")


def test_a_missing_tensor_is_named(folder: Path) -> None:
    with_tensors(folder, lambda tensors: tensors.pop(QUERY))
    refused(folder, rf"model\.safetensors: tensor {re.escape(QUERY)} is missing; the config asks for \d+ tensors$")


def test_an_unknown_tensor_is_named(folder: Path) -> None:
    with_tensors(folder, lambda tensors: tensors.update({"classifier.weight": torch.zeros(3, 16)}))
    refused(folder, r"tensor classifier\.weight is not part of this architecture; leave it out$")


def test_a_wrong_shape_is_named_with_both_shapes(folder: Path) -> None:
    with_tensors(folder, lambda tensors: tensors.update({QUERY: torch.zeros(8, 9)}))
    refused(folder, rf"tensor {re.escape(QUERY)} must have the shape \(8, 8\) that the config says, got \(8, 9\)$")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(folder: Path, value: float) -> None:
    with_tensors(folder, lambda tensors: tensors[QUERY].__setitem__((0, 0), value))
    refused(folder, rf"tensor {re.escape(QUERY)} must be finite, it holds NaN or infinity$")


def test_whole_numbers_are_no_weights(folder: Path) -> None:
    with_tensors(folder, lambda tensors: tensors.update({QUERY: torch.zeros(8, 8, dtype=torch.int64)}))
    refused(folder, rf"tensor {re.escape(QUERY)} must hold floating-point numbers, got torch\.int64$")


def test_a_copy_of_a_tied_tensor_must_equal_it(small: Small, tmp_path: Path) -> None:
    to_huggingface(small(**RELEASED), weights_of(small(**RELEASED)), tmp_path / "out")
    name, words = "cls.predictions.decoder.weight", "mobilebert.embeddings.word_embeddings.weight"
    with_tensors(tmp_path / "out", lambda tensors: tensors.update({name: tensors[words].clone()}))
    from_huggingface(tmp_path / "out")
    with_tensors(tmp_path / "out", lambda tensors: tensors[name].add_(1))
    refused(
        tmp_path / "out", r"tensor cls\.predictions\.decoder\.weight must equal embeddings\.word_embeddings\.weight"
    )


def test_old_names_of_layer_norm_are_understood(folder: Path) -> None:
    before = from_huggingface(folder)[1]

    def rename(tensors: dict[str, Tensor]) -> None:
        for name in list(tensors):
            for new, old in ((".LayerNorm.weight", ".LayerNorm.gamma"), (".LayerNorm.bias", ".LayerNorm.beta")):
                if name.endswith(new):
                    tensors[name.removesuffix(new) + old] = tensors.pop(name)

    with_tensors(folder, rename)
    after = from_huggingface(folder)[1]
    assert set(before) == set(after) and all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "roberta"}, r"model_type must be one of bert, distilbert, mobilebert; got 'roberta'$"),
        ({"model_type": None}, r"model_type must be one of bert, distilbert, mobilebert; got None$"),
        ({"model_type": ["bert"]}, r"got \['bert'\]$"),
        ({"hidden_act": "silu"}, r"config\.json, hidden_act: activation must be one of gelu, relu; got 'silu'$"),
        (
            {"hidden_size": "16"},
            r"config\.json, hidden_size: hidden_size must be a whole number of at least 1, got '16'$",
        ),
        ({"use_bottleneck": 1}, r"config\.json, use_bottleneck: use_bottleneck must be true or false, got 1$"),
        ({"classifier_activation": "no"}, r"classifier_activation must be true or false, got 'no'$"),
        (
            {"position_embedding_type": "relative_key"},
            r"position_embedding_type must be 'absolute', got 'relative_key'",
        ),
        ({"is_decoder": True}, r"is_decoder must be False, got True: no encoder here has it$"),
        (
            {"key_query_shared_bottleneck": False},
            r"use_bottleneck_attention or key_query_shared_bottleneck must be true, got false for both: transformers",
        ),
        ({"num_hidden_layers": 10**7}, r"\d+ tensors cannot be the 10000000 layers of the config$"),
        ({"intra_bottleneck_size": 10**30 + 1}, r"intra_bottleneck_size must be at most 10000000, got 10+1$"),
        ({"num_hidden_layers": 3}, r"tensor encoder\.layer\.2\..+ is missing"),
        ({"num_hidden_layers": 1}, r"tensor encoder\.layer\.1\..+ is not part of this architecture"),
        (
            {"vocab_size": 41},
            r"word_embeddings\.weight must have the shape \(41, 6\) that the config says, got \(40, 6\)",
        ),
    ],
)
def test_a_config_that_does_not_fit_is_refused_by_field(
    folder: Path, unchecked: Any, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], message: str
) -> None:
    if message.startswith("config"):  # the config's own checks, which the test run's type checker would come before
        monkeypatch.setattr("model_zoo.transformers_config.EncoderConfig", unchecked)
    with_fields(folder, **fields)
    refused(folder, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"config\.json must hold JSON but is corrupted \(.+\); get it again$"),
        ("\udcff", r"config\.json must hold JSON but is corrupted"),
        ("[" * 100_000, r"config\.json must hold JSON but is corrupted"),
        ("[1]", r"config\.json must hold a JSON object, got list$"),
    ],
)
def test_a_config_that_is_no_json_object_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(folder, message)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, rf"must hold config\.json and model\.safetensors, {re.escape(name)} is missing$")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt"])
def test_a_pickle_file_is_refused_with_the_command_that_converts_it(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"never opened")
    for place in (folder, folder / name):
        refused(
            place,
            rf"{re.escape(name)} is a pickle file, which can run code when it is opened, and is not read; convert it: "
            r"python -c 'import torch, safetensors\.torch as s; s\.save_file\(.+weights_only=True.+model\.safetensors",
        )


@pytest.mark.slow
def test_the_command_that_converts_a_pickle_file_works(small: Small, tmp_path: Path) -> None:
    folder = tmp_path / "the model's"
    to_huggingface(small(**RELEASED), weights_of(small(**RELEASED)), folder)
    expected = from_huggingface(folder)[1]
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    words = tensors["mobilebert.embeddings.word_embeddings.weight"]
    torch.save(tensors | {"cls.predictions.decoder.weight": words}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="is a pickle file") as caught:
        from_huggingface(folder)
    command = shlex.split(str(caught.value).split("convert it: ")[1])
    assert command[0] == "python"
    subprocess.run([sys.executable, *command[1:]], check=True, capture_output=True, timeout=200)
    found = from_huggingface(folder)[1]
    assert set(found) == set(expected) and all(torch.equal(found[name], expected[name]) for name in found)


def test_weights_in_several_files_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text("{}")
    refused(folder, r"must hold one model\.safetensors, its weights are in several; save it without sharding$")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, r"cannot express attention_input='block_input' \(the paper's block, the inverted-bottleneck teacher\)"),
        (
            {"bottleneck_size": 32},
            r"with bottleneck_size 32 beside hidden_size 16; only attention_input 'shared_bottle",
        ),
        (
            {"attention_input": "bottleneck"},
            r"1e-5 in two LayerNorms .+ norm_epsilon_places='all' with norm_epsilon=1e-12 cannot be written; "
            r"set norm_epsilon_places='transformers' or norm_epsilon=1e-5$",
        ),
        ({**RELEASED, "num_token_types": 0}, r"MobileBERT cannot express num_token_types=0; set it to 1 or more"),
        (
            {
                "num_token_types": 0,
                "use_bottleneck": False,
                "bottleneck_size": 16,
                "num_feed_forward": 1,
                "embedding_size": 16,
                "trigram": False,
                "norm_epsilon": 1e-5,
            },
            r"DistilBERT has norm_epsilon 1e-12 and no other, got 1e-05; set norm_epsilon=1e-12$",
        ),
    ],
)
def test_a_knob_that_transformers_cannot_express_is_named(
    small: Small, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    config = small(**fields)
    weights = weights_of(config)
    with pytest.raises(ValueError, match=message):
        to_huggingface(config, weights, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_heads_that_transformers_lacks_are_named(plain: Small, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"BERT reads the next sentence through a pooler, these weights have pooler=Fal"
    ):
        to_huggingface(plain(), weights_of(plain(), pooler=False), tmp_path / "out")
    config = plain(num_token_types=0)
    with pytest.raises(
        ValueError, match=r"DistilBERT has no next-sentence head and no pooler; leave the next_sentence"
    ):
        to_huggingface(config, weights_of(config), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: w.pop("encoder.blocks.1.attention.query.bias"),
            r"encoder\.blocks\.1\.attention\.query\.bias is miss",
        ),
        (lambda w: w.pop("masked_language.extra"), r"the weights: tensor masked_language\.extra is missing"),
        (lambda w: w.update({"head.dense.weight": torch.zeros(2, 16)}), r"tensor head\.dense\.weight is not part of"),
        (lambda w: w["masked_language.bias"].fill_(float("nan")), r"tensor masked_language\.bias must be finite"),
        (lambda w: w.update({"masked_language.extra": torch.zeros(10, 40)}), r"extra must have the shape \(40, 10\)"),
    ],
)
def test_weights_that_do_not_fit_are_not_written(
    small: Small, tmp_path: Path, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    config = small(**RELEASED)
    weights = weights_of(config)
    change(weights)
    with pytest.raises(ValueError, match=message):
        to_huggingface(config, weights, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_empty_is_left_alone(small: Small, tmp_path: Path) -> None:
    config = small(**RELEASED)
    (tmp_path / "out").mkdir()
    to_huggingface(config, weights_of(config), tmp_path / "out")
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match=r"out must be a new or an empty folder, it is there already; name another or"):
        to_huggingface(config, weights_of(config), tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_target_that_cannot_be_written_is_named_and_nothing_is_left(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(**RELEASED)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=re.escape(str(tmp_path / "file" / "out"))):
        to_huggingface(config, weights_of(config), tmp_path / "file" / "out")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=re.escape(f"No space left on device: '{tmp_path / 'out'}'")):
        to_huggingface(config, weights_of(config), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


BASES: dict[str, dict[str, Any]] = {
    "released": RELEASED,
    "layer norm": {"attention_input": "bottleneck", "norm_epsilon_places": "transformers"},
    "plain": {
        "use_bottleneck": False,
        "bottleneck_size": 16,
        "num_feed_forward": 1,
        "embedding_size": 16,
        "trigram": False,
    },
}
OTHERS: dict[str, Any] = {
    "num_layers": 3,
    "hidden_size": 32,
    "bottleneck_size": 4,
    "use_bottleneck": False,
    "num_heads": 1,
    "num_feed_forward": 4,
    "feed_forward_size": 13,
    "feed_forward": "my_ffn:Gated@0123456789abcdef",
    "attention_input": "block_input",
    "norm": "no_norm",
    "activation": "relu",
    "embedding_size": 5,
    "trigram": False,
    "hidden_dropout": 0.3,
    "attention_dropout": 0.3,
    "vocab_size": 41,
    "max_positions": 25,
    "num_token_types": 0,
    "norm_epsilon": 1e-3,
    "norm_epsilon_places": "transformers",
    "initializer_range": 0.2,
}


@pytest.mark.parametrize("base", BASES)
def test_every_field_comes_back_or_is_refused(small: Small, base: str) -> None:
    assert set(OTHERS) == {field.name for field in dataclasses.fields(EncoderConfig)}
    written = 0
    for name, value in OTHERS.items():
        try:
            config = small(**(BASES[base] | {name: value}))
            fields = to_fields(config, pooler=False)
        except ValueError:
            continue
        written += 1
        assert from_fields(fields, "here")[0] == config, name
    assert written >= 12


EXPRESSIBLE = {
    "bert": {"bert-base", "bert-large", "tinybert-4", "tinybert-6"}
    | {"bert-pkd-3", "bert-pkd-4", "bert-pkd-6", "bert-tiny", "bert-mini", "bert-small", "bert-medium"},
    "distilbert": {"distilbert-4", "distilbert-6"},
    "mobilebert": {"mobilebert-released", "mobilebert-tiny"},
}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_written_as_what_it_is_or_refused_by_knob(name: str) -> None:
    config = PRESETS[name]()
    family = family_of(config)
    if name in EXPRESSIBLE[family]:
        fields = to_fields(config, pooler=True)
        assert fields["model_type"] == family
        assert from_fields(fields, "here")[:2] == (config, family)
    else:
        with pytest.raises(ValueError, match=r"attention_input='block_input'|norm_epsilon_places='all'"):
            to_fields(config, pooler=True)
