"""What a trained student scores in the form in which it would be deployed: the folded graph in ONNX Runtime."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from model_zoo.deploy import fold_task
from model_zoo.networks import TaskNetwork
from model_zoo.onnx_export import export_onnx, needs, quantise
from search.data.prepare import OpenData
from search.export.onnx import run_split
from search.export.subject import task_networks
from search.latency.case import Runtime
from search.record import Measurement
from search.study import Ablation
from search.training.evaluate import decode, mean_scores, score_split
from search.trial import TrialSpec

SCORED: tuple[Runtime, ...] = ("onnx", "onnx-int8")


def deployed_scores(
    spec: TrialSpec, weights: Mapping[str, Tensor], data: OpenData, runtimes: Sequence[Runtime]
) -> list[Measurement]:
    """The metrics of every task and their mean, in each runtime: `onnx-int8/sentiment/accuracy`, `onnx-int8/accuracy`.

    Args:
        weights: as a trial's file holds them.
        runtimes: `onnx` (float32) or `onnx-int8` (dynamic, the same artefact as latency is measured on).

    Raises:
        ValueError: ONNX's packages are missing, or the network cannot be exported.
    """
    found: dict[Runtime, list[Measurement]] = {runtime: [] for runtime in runtimes}
    networks = task_networks(spec, weights)
    for task in spec.data.tasks:
        with tempfile.TemporaryDirectory() as folder:
            files = _files(networks[task.name], Path(folder), runtimes)
            for runtime in runtimes:
                for part in ("validation", "test"):
                    split = data.tasks[task.name][part]
                    predictions, labels = decode(task, split, run_split(files[runtime], split))
                    found[runtime] += score_split(task, part, predictions, labels, spec.seed)
    return [
        replace(one, metric=f"{runtime}/{one.metric}", conditions=one.conditions | {"runtime": runtime})
        for runtime, scores in found.items()
        for one in (*mean_scores(scores), *scores)
    ]


def check_scored(study: Ablation) -> None:
    """Refuse, before anything trains, scores in a form that there is none of, or without the packages that run it.

    Raises:
        ValueError: one line with the way out.
    """
    for runtime in study.score_runtimes:
        if runtime not in SCORED:
            raise ValueError(f"score_runtimes must be of {', '.join(SCORED)}; got {runtime!r}")
    if study.score_runtimes:
        needs("onnx", "onnxscript", "onnxruntime")


def lacking(measurements: Sequence[Measurement], runtimes: Sequence[Runtime]) -> tuple[Runtime, ...]:
    """The runtimes in which no mean score was measured."""
    known = {one.metric for one in measurements}
    return tuple(runtime for runtime in runtimes if f"{runtime}/accuracy" not in known)


def _files(network: TaskNetwork, folder: Path, runtimes: Sequence[Runtime]) -> dict[Runtime, Path]:
    files: dict[Runtime, Path] = {"onnx": folder / "model.onnx", "onnx-int8": folder / "int8.onnx"}
    export_onnx(fold_task(network), files["onnx"], max_length=network.encoder.config.max_positions, output="logits")
    if "onnx-int8" in runtimes:
        quantise(files["onnx"], files["onnx-int8"], "dynamic")
    return files
