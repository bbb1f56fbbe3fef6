"""From a folder that transformers wrote to a GivenTeacher and its weights in the folder of teachers.

Reads config.json, model.safetensors and the tokenizer's files, nothing else; a pickle file is refused. Everything is
checked before anything is written.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from model_zoo.config import EncoderConfig
from model_zoo.huggingface import from_files
from model_zoo.weight_files import CONFIG, WEIGHTS, read_folder, tensors_digest
from search.data.spec import DataSpec
from search.data.tokenizer import pieces_of, read_vocabulary, vocabulary_identity
from search.data.tokenizer_file import vocabulary_file
from search.files import read_json, write_whole
from search.fingerprint import fingerprint
from search.given_teacher import GivenTeacher, Head, task_of_labels
from search.record import set_aside
from search.training.checkpoint import load_weights, save_weights
from search.values import from_json, to_json

SCHEMA = 1
PRETRAINED_HEADS: dict[Head, str] = {
    "masked_language": "masked_language.dense.weight",
    "next_sentence": "next_sentence.dense.weight",
}


class Brought(NamedTuple):
    """What a folder holds."""

    config: EncoderConfig
    weights: dict[str, Tensor]
    """Named as in a PreTrainingNetwork."""
    classifier: dict[str, Tensor]
    """`weight` and `bias` of a classification head; empty where there is none."""
    label_names: tuple[str, ...]
    """Of the classification head, in its own order."""
    told_task: str | None
    vocabulary: str
    """SHA-256 of the word pieces."""


def read_teacher(folder: Path) -> Brought:
    """Read a teacher's folder.

    Raises:
        ValueError: one line: what is wrong with which file, field or tensor.
    """
    document, tensors = read_folder(folder)
    pieces = pieces_of(read_vocabulary(vocabulary_file(folder)))
    classifier = {
        name: tensors.pop(f"classifier.{name}") for name in ("weight", "bias") if f"classifier.{name}" in tensors
    }
    config, weights = from_files(document, tensors, folder)
    if len(pieces) != config.vocab_size:
        raise ValueError(
            f"{folder}: the tokenizer must have as many word pieces as the config's vocab_size, got {len(pieces)} and "
            f"{config.vocab_size}; save the tokenizer that the model was trained with"
        )
    fields: dict[str, Any] = document if isinstance(document, dict) else {}
    if classifier:
        _check_classifier(folder, classifier, config, fields)
    labels = _label_names(folder, classifier, fields)
    told = fields.get("finetuning_task")
    return Brought(config, weights, classifier, labels, told, vocabulary_identity(pieces))


def given_teacher(brought: Brought, data: DataSpec) -> GivenTeacher:
    """The teacher as a value, its labels in the order of the task that has them.

    Raises:
        ValueError: its labels are those of no task, or of several.
    """
    task: str | None = None
    labels: tuple[str, ...] = ()
    if brought.classifier:
        task = task_of_labels(data, brought.label_names, brought.told_task)
        labels = next(one.label_names for one in data.tasks if one.name == task)
    return GivenTeacher(
        student=brought.config,
        weights_sha256=tensors_digest(brought.weights | {f"classifier.{n}": t for n, t in brought.classifier.items()}),
        vocabulary=brought.vocabulary,
        pooler="next_sentence.pooler.weight" in brought.weights,
        heads=tuple(head for head, name in PRETRAINED_HEADS.items() if name in brought.weights),
        task=task,
        label_names=labels,
    )


def check_language(brought: Brought, data: DataSpec) -> None:
    """Raises ValueError unless the teacher has the word pieces of these data: it would read another language."""
    if brought.vocabulary != data.vocabulary:
        raise ValueError(
            f"--teacher needs text in its language, got a teacher of {brought.config.vocab_size} word pieces and the "
            f"built-in language, which has {data.vocab_size} others; add --corpus with --task-data or --task-file"
        )


def keep_teacher(brought: Brought, teacher: GivenTeacher, teachers: Path) -> None:
    """Write the weights into the folder of teachers, in the form that trials read; what is there and whole stays.

    Raises:
        OSError: the disk is full or not writable.
    """
    place = teachers / fingerprint(teacher)
    if _fault(teacher, place) is None:
        return
    if (place / "given.json").exists():
        set_aside(teachers, place / "given.json")
    save_weights(place / "weights.safetensors", _stored(brought, teacher))
    document = {"schema": SCHEMA, "fingerprint": fingerprint(teacher), "spec": to_json(teacher)}
    write_whole(place / "given.json", json.dumps(document, indent=1) + "\n")


def check_kept(teacher: GivenTeacher, teachers: Path) -> None:
    """Raises ValueError unless the teacher's weights lie whole in the folder of teachers."""
    fault = _fault(teacher, teachers / fingerprint(teacher))
    if fault is not None:
        raise ValueError(
            f"the given teacher must lie in {teachers.name}/, got: {fault}; run again with --teacher FOLDER"
        )


def _fault(teacher: GivenTeacher, place: Path) -> str | None:
    try:
        if from_json(GivenTeacher, read_json(place / "given.json")["spec"]) != teacher:
            return "given.json is that of another teacher"
        load_weights(place / "weights.safetensors")
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (ValueError, KeyError, TypeError) as error:
        return str(error)
    return None


def _stored(brought: Brought, teacher: GivenTeacher) -> dict[str, Tensor]:
    """`pretrained/...`, and `tasks/<name>/...` with the head's rows in the order of the task's labels."""
    weights = {name: tensor.float().contiguous() for name, tensor in brought.weights.items()}
    stored = {f"pretrained/{name}": tensor for name, tensor in weights.items()}
    if teacher.task is None:
        return stored
    order = torch.tensor([brought.label_names.index(label) for label in teacher.label_names])
    head = {f"head.dense.{name}": tensor.float()[order].contiguous() for name, tensor in brought.classifier.items()}
    head |= {
        f"head.pooler.{kind}": weights[f"next_sentence.pooler.{kind}"] for kind in ("weight", "bias") if teacher.pooler
    }
    encoder = {name: tensor for name, tensor in weights.items() if name.startswith("encoder.")}
    return stored | {f"tasks/{teacher.task}/{name}": tensor.clone() for name, tensor in (encoder | head).items()}


def _check_classifier(
    folder: Path, classifier: Mapping[str, Tensor], config: EncoderConfig, fields: Mapping[str, Any]
) -> None:
    names = fields.get("architectures")
    architecture = str(names[0]) if isinstance(names, list) and names else "none"
    if not architecture.endswith("ForSequenceClassification"):
        raise ValueError(
            f"{folder / CONFIG}: a model with a classifier must be one ForSequenceClassification, got {architecture}; "
            "bring it without its head"
        )
    for name, dimensions in (("weight", 2), ("bias", 1)):
        tensor = classifier.get(name)
        if tensor is None:
            raise ValueError(f"{folder / WEIGHTS}: tensor classifier.{name} is missing; save the whole model")
        if tensor.ndim != dimensions or (name == "weight" and tensor.shape[1] != config.hidden_size):
            raise ValueError(
                f"{folder / WEIGHTS}: tensor classifier.{name} must read {config.hidden_size} channels, got the shape "
                f"{tuple(tensor.shape)}"
            )
        if not tensor.isfinite().all():
            raise ValueError(f"{folder / WEIGHTS}: tensor classifier.{name} must be finite, it holds NaN or infinity")
    if len(classifier["weight"]) != len(classifier["bias"]):
        raise ValueError(
            f"{folder / WEIGHTS}: classifier.weight and classifier.bias must have as many rows, they differ"
        )


def _label_names(folder: Path, classifier: Mapping[str, Tensor], fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels in the order of the head's rows; without id2label they are called as transformers calls them."""
    if not classifier:
        return ()
    count = len(classifier["weight"])
    if count < 2:
        raise ValueError(
            f"{folder}: a fine-tuned teacher must classify, got a head with {count} output (a regression); bring the "
            "encoder without it"
        )
    named = fields.get("id2label") or {str(index): f"LABEL_{index}" for index in range(count)}
    if not isinstance(named, dict) or sorted(map(str, named)) != sorted(map(str, range(count))):
        raise ValueError(
            f"{folder / CONFIG}: id2label must name the rows 0 to {count - 1} of the classifier, got {str(named)[:80]}"
        )
    labels = tuple(str({str(key): name for key, name in named.items()}[str(index)]) for index in range(count))
    if len(set(labels)) < count:
        raise ValueError(f"{folder / CONFIG}: id2label must name every row differently, got {', '.join(labels)}")
    return labels
