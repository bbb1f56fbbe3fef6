"""`thinbert export`: which trial or preset a name means, and what is said of the folder that was written."""

import difflib
from pathlib import Path
from typing import Any

from model_zoo.presets import PRESETS
from search.export.folder import Target, export_subject
from search.export.subject import Subject, preset_subject, trial_subject


def export_named(name: str, out: Path, *, to: str, int8: bool, tasks: tuple[str, ...]) -> dict[str, Any]:
    """Export a preset or `RUN:FINGERPRINT`.

    Returns:
        `folder`, and `scores`: per cent by task, form and metric, of ONNX files.

    Raises:
        ValueError: an unknown name or form, and whatever `export_subject` refuses.
    """
    target: Target
    if to == "huggingface":
        target = "huggingface"
    elif to == "onnx":
        target = "onnx"
    else:
        raise ValueError(f"--to must be huggingface or onnx, got {to!r}")
    scores = export_subject(_subject(name), out, to=target, int8=int8, tasks=tasks)
    return {
        "folder": str(out),
        "scores": {
            task: {form: {m.metric.rpartition("/")[2]: m.value for m in found} for form, found in forms.items()}
            for task, forms in scores.items()
        },
    }


def export_rows(document: dict[str, Any]) -> list[tuple[str, ...]]:
    """The scores as a table of texts: a row per task and metric, a column per form."""
    scores = document["scores"]
    forms = list(dict.fromkeys(form for found in scores.values() for form in found))
    rows: list[tuple[str, ...]] = [("task", "metric", *forms)]
    for task, found in scores.items():
        for metric in found[forms[0]]:
            rows.append((task, metric, *(f"{found[form][metric]:.2f}" for form in forms)))
    return rows


def _subject(name: str) -> Subject:
    if name in PRESETS:
        return preset_subject(name)
    folder, colon, prefix = name.rpartition(":")
    if colon and folder and Path(folder).is_dir():
        return trial_subject(Path(folder), prefix)
    near = difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.4) or list(PRESETS)
    raise ValueError(
        f"what is exported is a preset or RUN:FINGERPRINT, got {name!r}; the nearest presets are {', '.join(near)}"
    )
