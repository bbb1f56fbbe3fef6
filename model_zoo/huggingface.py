"""Weights to and from Hugging Face: BERT, DistilBERT, MobileBERT and TinyBERT (a BERT). Does not import transformers.

Weights are called as in the state dict of a `PreTrainingNetwork`: `encoder.`, `masked_language.`, `next_sentence.`;
heads that a model lacks are left out, and a pooler without a next-sentence head is `next_sentence.pooler.` alone.

What is the same in both and what is not (checked against transformers 5.23):

- The attention mask is additive: 0 at real keys; at padded ones -10000 here, the smallest finite number there. Both
  give a weight of exactly 0 in float32. Google's code changed its own from -10000 to -6 (reference section 7.2).
- Padded embeddings are zeroed before the trigram here; transformers lets the embedding of [PAD] reach the last real
  token. The two agree on padded batches where the [PAD] row of the table is 0, as transformers starts and keeps it, and
  not for Google's checkpoint, whose row is not 0; there each row here equals transformers' without its padding.
- In LayerNorm mode transformers' MobileBERT ignores `layer_norm_eps` in the embedding and in the last feed-forward of
  each block (reference section 7.5). `from_huggingface` says so in the config, `norm_epsilon_places="transformers"`.
- Only in training: transformers' DistilBERT does not drop after the attention's output.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from model_zoo.config import EncoderConfig
from model_zoo.networks import PreTrainingNetwork
from model_zoo.transformers_config import Family, family_of, from_fields, to_fields
from model_zoo.transformers_names import DEAD_PROJECTION, EXTRA, TIED, encoder_names, head_names, ignored_names
from model_zoo.weight_checks import check_weights, shapes_of
from model_zoo.weight_files import CONFIG, WEIGHTS, read_folder, write_folder

_CLASSES = {"bert": "Bert", "distilbert": "DistilBert", "mobilebert": "MobileBert"}
_SUFFIXES = {
    (): "Model",
    ("masked_language",): "ForMaskedLM",
    ("next_sentence",): "ForNextSentencePrediction",
    ("masked_language", "next_sentence"): "ForPreTraining",
}


@runtime_checkable
class HuggingFaceModel(Protocol):
    """What is read of a transformers model: its config's `to_dict()` and its tensors."""

    config: Any

    def state_dict(self) -> dict[str, Tensor]: ...


def from_huggingface(folder_or_model: str | Path | HuggingFaceModel) -> tuple[EncoderConfig, dict[str, Tensor]]:
    """The config and weights of a folder that transformers wrote, or of its model in memory.

    Reads `config.json` and `model.safetensors`, nothing else. Tensors are copies and bit-identical. Copies that files
    hold of tied tensors must equal what they copy; buffers and layers that transformers never runs are left out.

    Args:
        folder_or_model: a folder; or a BERT, DistilBERT or MobileBERT, bare or with its pre-training heads.

    Returns:
        The config, and weights named as in a `PreTrainingNetwork` (with `pooler=True` where there is a pooler).

    Raises:
        ValueError: one line naming the file, field or tensor: a pickle file, another architecture, a tensor that is
            missing, unknown, of another shape, or not finite.
    """
    if isinstance(folder_or_model, str | Path):
        return from_files(*read_folder(Path(folder_or_model)), Path(folder_or_model))
    config, family, fields = from_fields(folder_or_model.config.to_dict(), "the model's config")
    copies = {name: tensor.detach().clone() for name, tensor in folder_or_model.state_dict().items()}
    return config, _take(config, family, fields, copies, "the model")


def from_files(document: object, tensors: dict[str, Tensor], folder: Path) -> tuple[EncoderConfig, dict[str, Tensor]]:
    """What `from_huggingface` returns, of a folder that `read_folder` read. Raises the same errors."""
    config, family, fields = from_fields(document, str(folder / CONFIG))
    return config, _take(config, family, fields, tensors, str(folder / WEIGHTS))


def to_huggingface(config: EncoderConfig, weights: Mapping[str, Tensor], folder: str | Path) -> None:
    """Write a folder that `transformers.AutoModel.from_pretrained(folder)` opens.

    A plain BERT becomes a BERT, one without token types a DistilBERT, everything else a MobileBERT. A BERT without
    pooler is written without; transformers then makes a random one and says so.

    Args:
        config: the architecture.
        weights: as in a `PreTrainingNetwork`'s state dict: all of `encoder.`, all or none of each head.
        folder: a new or an empty folder.

    Raises:
        ValueError: one line: the knob that transformers cannot express; a tensor that is missing, unknown, of another
            shape or not finite; a folder that is not empty. Nothing is written then.
        OSError: the folder cannot be written; nothing is left of it.

    >>> from tempfile import TemporaryDirectory
    >>> from model_zoo.presets import PRESETS
    >>> config = PRESETS["bert-tiny"]()
    >>> weights = PreTrainingNetwork(config, pooler=True).state_dict()
    >>> with TemporaryDirectory() as folder:
    ...     to_huggingface(config, weights, folder)
    ...     from_huggingface(folder)[0] == config
    True
    """
    family, pooler = family_of(config), "next_sentence.pooler.weight" in weights
    fields = to_fields(config, pooler=pooler)
    heads = _heads_of(config, family, weights)
    names = _all_names(config, family, heads)
    check_weights(weights, {ours: ours for ours in names}, _shapes(config), "the weights")
    suffix = _SUFFIXES[tuple(head for head in heads if head != "pooler")]
    prefix = "" if suffix == "Model" else f"{family}."
    tensors = {}
    for ours, theirs in names.items():
        tensor = weights[ours].detach().cpu()
        inside = ours.startswith("encoder.") or theirs.startswith("pooler.")
        tensors[f"{prefix}{theirs}" if inside else theirs] = _turned(theirs, tensor).clone()
    if family == "mobilebert":
        tensors |= _unused(config, prefix, with_head="masked_language" in heads)
    dtype = str(weights["encoder.embedding.tokens.weight"].dtype).removeprefix("torch.")
    fields |= {"architectures": [_CLASSES[family] + suffix], "dtype": dtype}
    write_folder(Path(os.path.abspath(folder)), fields, tensors)


def _take(
    config: EncoderConfig, family: Family, fields: Mapping[str, object], found: dict[str, Tensor], place: str
) -> dict[str, Tensor]:
    """`found` under our names, every tensor checked."""
    tensors = {_plain_name(name, family): tensor for name, tensor in found.items()}
    if config.num_layers * config.num_feed_forward > len(tensors):  # before names are made for every layer
        raise ValueError(f"{place}: {len(tensors)} tensors cannot be the {config.num_layers} layers of the config")
    for copy, original in TIED[family].items():
        if copy in tensors:
            tied = tensors.pop(copy)
            if not torch.equal(tensors.setdefault(original, tied), tied):
                raise ValueError(f"{place}: tensor {copy} must equal {original}, to which it is tied here; it does not")
    for name in ignored_names(config, family, fields):
        tensors.pop(name, None)
    possible = head_names(family, extra=config.hidden_size > config.embedding_size)
    if family == "mobilebert" and not fields["classifier_activation"]:
        del possible["pooler"]
    heads = [head for head, names in possible.items() if any(theirs in tensors for theirs in names.values())]
    if "next_sentence" in heads and "pooler" in possible and "pooler" not in heads:
        heads.append("pooler")
    names = _all_names(config, family, heads)
    shapes = {ours: shape[::-1] if ours.endswith(".extra") else shape for ours, shape in _shapes(config).items()}
    check_weights(tensors, names, shapes, place)
    return {ours: _turned(theirs, tensors[theirs]) for ours, theirs in names.items()}


def _heads_of(config: EncoderConfig, family: Family, weights: Mapping[str, Tensor]) -> list[str]:
    possible = head_names(family, extra=config.hidden_size > config.embedding_size)
    if family == "distilbert" and any(name.startswith("next_sentence.") for name in weights):
        raise ValueError(
            "transformers' DistilBERT has no next-sentence head and no pooler; leave the next_sentence tensors out"
        )
    heads = [head for head, names in possible.items() if any(ours in weights for ours in names)]
    if family == "bert" and "next_sentence" in heads and "pooler" not in heads:
        raise ValueError(
            "transformers' BERT reads the next sentence through a pooler, these weights have pooler=False; leave the "
            "next_sentence tensors out"
        )
    return heads


def _all_names(config: EncoderConfig, family: Family, heads: list[str]) -> dict[str, str]:
    names = encoder_names(config, family)
    for head, tensors in head_names(family, extra=config.hidden_size > config.embedding_size).items():
        names |= tensors if head in heads else {}
    return names


def _shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    return shapes_of(lambda: PreTrainingNetwork(config, pooler=True))


def _plain_name(name: str, family: Family) -> str:
    """Without the family's prefix, and with LayerNorm's names of today (old files say gamma and beta)."""
    renamed = name.removeprefix(f"{family}.")
    for old, new in ((".LayerNorm.gamma", ".LayerNorm.weight"), (".LayerNorm.beta", ".LayerNorm.bias")):
        if renamed.endswith(old):
            renamed = renamed.removesuffix(old) + new
    return renamed


def _turned(theirs: str, tensor: Tensor) -> Tensor:
    return tensor.T.contiguous() if theirs == EXTRA else tensor.contiguous()


def _unused(config: EncoderConfig, prefix: str, *, with_head: bool) -> dict[str, Tensor]:
    """Layers that transformers' MobileBERT has without running them, as zeros, so that it finds no tensor missing."""
    wide, unused = config.hidden_size, {}
    if not config.projects_embedding:
        unused[f"{prefix}{DEAD_PROJECTION}.weight"] = torch.zeros(wide, config.embedding_size)
        unused[f"{prefix}{DEAD_PROJECTION}.bias"] = torch.zeros(wide)
    if with_head and config.embedding_size == wide:
        unused[EXTRA] = torch.zeros(0, config.vocab_size)
    return unused
