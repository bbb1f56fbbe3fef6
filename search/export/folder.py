"""The folder that `thinbert export` writes: whole, or not at all.

huggingface:  OUT/config.json, model.safetensors          what transformers.AutoModel opens
onnx:         OUT/<task>/model.onnx, config.json          a trial's tasks, with their label names
              OUT/<task>/model-int8-dynamic.onnx, model-int8-static.onnx
              OUT/model.onnx, config.json                 a preset: the encoder alone
both:         OUT/tokenizer.json, tokenizer_config.json   of a trial
              OUT/README.md                               the model card
"""

import json
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from model_zoo.deploy import fold
from model_zoo.huggingface import to_huggingface
from model_zoo.onnx_export import export_onnx, needs, quantise
from search.data.spec import TaskSpec
from search.export.card import model_card
from search.export.onnx import score_file, write_forms
from search.export.subject import Subject, Trained
from search.record import Measurement
from search.values import to_json

Target = Literal["huggingface", "onnx"]


def export_subject(
    subject: Subject, out: Path, *, to: Target, int8: bool = False, tasks: Sequence[str] = ()
) -> dict[str, dict[str, list[Measurement]]]:
    """Write a subject to a new folder.

    The row of [PAD] in the word table is written as zeros for transformers: there padding reaches the last real token
    through it, here it never does; no real token reads the row.

    Args:
        out: a new or an empty folder.
        to: the form.
        int8: with ONNX, the two quantised forms as well.
        tasks: of a trial, those to write as ONNX; all where none is named.

    Returns:
        What each ONNX file scored on the task's test split, by task and form; the trial's own scores are in its record.

    Raises:
        ValueError: one line: the knob that transformers cannot express, an unknown task, int8 without ONNX, missing
            packages, a folder that is not empty. Nothing is left then.
        OSError: the folder cannot be written; nothing is left of it.
    """
    chosen = _check(subject, out, to, int8, tasks)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.parent / f".{out.name[:100]}.{secrets.token_hex(6)}.tmp"
    try:
        if to == "huggingface":
            scores: dict[str, dict[str, list[Measurement]]] = {}
            _write_huggingface(subject, temporary)
        else:
            temporary.mkdir()
            scores = _write_onnx(subject, temporary, chosen, int8)
        if subject.trained is not None:
            _write_tokenizer(subject.trained, subject.config.max_positions, temporary)
        (temporary / "README.md").write_text(model_card(subject, to, scores), encoding="utf-8")
        temporary.replace(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return scores


def _check(subject: Subject, out: Path, to: Target, int8: bool, tasks: Sequence[str]) -> list[TaskSpec]:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} must be a new or an empty folder, it is there already; name another or delete it")
    if int8 and to != "onnx":
        raise ValueError("int8 is a form of ONNX files; use --to onnx, or leave --int8 out")
    if tasks and to != "onnx":
        raise ValueError("a task is chosen for ONNX files; with --to huggingface the pre-trained network is written")
    if to == "onnx":
        needs("onnx", "onnxscript", "onnxruntime")
    known = {task.name: task for task in subject.trained.record.spec.data.tasks} if subject.trained else {}
    unknown = [name for name in tasks if name not in known]
    if unknown:
        raise ValueError(f"{subject.name} has the tasks {', '.join(known) or 'none'}; got {unknown[0]!r}")
    return [known[name] for name in tasks or known]


def _write_huggingface(subject: Subject, folder: Path) -> None:
    weights = dict(subject.weights)
    if subject.trained is not None:
        table = "encoder.embedding.tokens.weight"
        weights[table] = weights[table].clone()
        weights[table][subject.trained.data.pretraining.special.pad] = 0.0
    if not subject.config.use_bottleneck and "next_sentence.pooler.weight" not in weights:
        # transformers' BERT reads the next sentence through a pooler; a student without one has no such head there.
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith("next_sentence.")}
    to_huggingface(subject.config, weights, folder)


def _write_onnx(
    subject: Subject, folder: Path, tasks: Sequence[TaskSpec], int8: bool
) -> dict[str, dict[str, list[Measurement]]]:
    if subject.trained is None:
        file = folder / "model.onnx"
        folded = fold(subject.config, subject.weights)
        export_onnx(folded, file, max_length=subject.config.max_positions, output="last_hidden_state")
        if int8:  # static ranges would be those of random activations
            quantise(file, folder / "model-int8-dynamic.onnx", "dynamic")
        _write_json(folder / "config.json", {"encoder": to_json(subject.config)})
        return {}
    scores: dict[str, dict[str, list[Measurement]]] = {}
    for task in tasks:
        splits = subject.trained.data.tasks[task.name]
        place = folder / task.name
        place.mkdir()
        files = write_forms(subject.tasks[task.name], splits["train"], place, int8=int8)
        labels = {str(index): name for index, name in enumerate(task.label_names)}
        document = {"task": task.name, "kind": task.kind, "metric": task.metric, "id2label": labels}
        _write_json(place / "config.json", document | {"encoder": to_json(subject.config)})
        seed = subject.trained.record.spec.seed
        scores[task.name] = {form: score_file(path, task, splits["test"], seed) for form, path in files.items()}
    return scores


def _write_tokenizer(trained: Trained, max_positions: int, folder: Path) -> None:
    """As transformers.AutoTokenizer opens it: with [CLS] and [SEP] around what it encodes."""
    from tokenizers.processors import TemplateProcessing

    tokenizer, special = trained.data.tokenizer(), trained.data.pretraining.special
    start, separator = ("[CLS]", special.start), ("[SEP]", special.separator)
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[start, separator]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_positions,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "mask_token": "[MASK]",
    }
    _write_json(folder / "tokenizer_config.json", settings | names)


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
