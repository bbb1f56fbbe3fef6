"""The model card of an exported folder, as model hubs read it: what was measured, "unknown" where unknown."""

import json
from collections.abc import Mapping, Sequence

from model_zoo.cost import cost
from search.export.subject import Subject
from search.record import Measurement, TrialRecord

Scores = Mapping[str, Mapping[str, Sequence[Measurement]]]


def model_card(subject: Subject, to: str, scores: Scores) -> str:
    """The text of README.md.

    Args:
        subject: what was exported.
        to: the form.
        scores: what each ONNX file scored on test, by task and form.
    """
    head = ["---", "license: unknown", "library_name: thinbert", "tags: [encoder, mobilebert, distillation]", "---", ""]
    lines = [*head, f"# {subject.name}", "", *_encoder_lines(subject)]
    if subject.trained is None:
        lines += ["", "Weights: random. Nothing was trained: shape and speed are real, answers are not."]
    else:
        lines += _record_lines(subject.trained.record)
    if scores:
        lines += ["", "## Scores of the files, on test", "", *_score_rows(scores)]
    if to == "huggingface" and subject.trained is not None:
        lines += ["", "The row of [PAD] in the word table is zero, so that padding never reaches a real token."]
    return "\n".join(lines) + "\n"


def _encoder_lines(subject: Subject) -> list[str]:
    config, total = subject.config, cost(subject.config)
    return [
        f"Encoder of the MobileBERT family (Sun et al. 2020): {config.num_layers} blocks, "
        f"h_inter {config.hidden_size}, h_intra {config.bottleneck_size}, {config.num_heads} heads, "
        f"{config.num_feed_forward} feed-forwards a block, "
        f"{config.norm}, {config.activation}, attention from {config.attention_input}.",
        f"{total.parameters:,} parameters (embeddings included, heads not), {total.flops:,} FLOPs for 128 tokens.",
    ]


def _record_lines(record: TrialRecord) -> list[str]:
    spec, history = record.spec, record.provenance
    teacher = (
        "none" if spec.teacher is None else f"{cost(spec.teacher.encoder).parameters:,} parameters, seed {spec.seed}"
    )
    data = ", ".join(task.name for task in spec.data.tasks)
    rows = [
        ("trial", record.fingerprint),
        ("status", record.status),
        ("seed", str(spec.seed)),
        ("teacher", teacher),
        ("student updates before fine-tuning", f"{spec.recipe.student_updates:,}"),
        ("tasks", data),
        ("corpus (SHA-256 of its text)", spec.data.corpus),
        ("commit", str(history.get("commit", "unknown"))),
        ("trained", str(history.get("finished", "unknown"))),
        ("licence of the data", "unknown"),
        ("licence of the teacher", "unknown" if spec.teacher else "none"),
        ("intended use, limits, biases", "unknown"),
    ]
    table = ["", "## Training", "", "| what | value |", "| --- | --- |", *(f"| {a} | {_cell(b)} |" for a, b in rows)]
    return [*table, "", "## Measured", "", *_measured_rows(record.measurements)]


def _measured_rows(measurements: Sequence[Measurement]) -> list[str]:
    shown = [m for m in measurements if not m.metric.startswith("validation/")]
    if not shown:
        return ["unknown"]
    head = ["| metric | value | interval | n | conditions |", "| --- | --- | --- | --- | --- |"]
    return head + [
        f"| {m.metric} | {m.value:.6g} {m.unit} | {_interval(m)} | {m.n} | {_cell(json.dumps(m.conditions))} |"
        for m in shown
    ]


def _score_rows(scores: Scores) -> list[str]:
    head = ["| task | form | metric | value | 95 % interval over rows |", "| --- | --- | --- | --- | --- |"]
    return head + [
        f"| {_cell(task)} | {form} | {m.metric.rpartition('/')[2]} | {m.value:.2f} {m.unit} | {_interval(m)} |"
        for task, forms in scores.items()
        for form, found in forms.items()
        for m in found
    ]


def _interval(measurement: Measurement) -> str:
    interval = measurement.interval
    return "unknown" if interval is None else f"{interval.low:.4g} to {interval.high:.4g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
