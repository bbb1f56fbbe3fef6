"""A task's network as ONNX files, and what each of them scores on the task's own test split."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_zoo.deploy import fold_task
from model_zoo.networks import TaskNetwork
from model_zoo.onnx_export import Inputs, export_onnx, open_session, quantise, run_session
from search.data.spec import TaskSpec
from search.data.tasks import TaskSplit
from search.record import Measurement
from search.training.evaluate import decode, score_split

CALIBRATION_ROWS, CALIBRATION_BATCH = 256, 16
"""Rows of train from which static int8 takes the ranges of its activations: the first ones."""
SCORING_BATCH = 64


def write_forms(network: TaskNetwork, split: TaskSplit, folder: Path, *, int8: bool) -> dict[str, Path]:
    """Write model.onnx, and with `int8` its two quantised forms; returns the file of each form.

    Args:
        network: the task's.
        split: train, from which static int8 is calibrated.
        folder: must be there.
        int8: whether to quantise.
    """
    files = {"float32": folder / "model.onnx"}
    export_onnx(fold_task(network), files["float32"], max_length=network.encoder.config.max_positions, output="logits")
    if int8:
        files["int8-dynamic"] = folder / "model-int8-dynamic.onnx"
        quantise(files["float32"], files["int8-dynamic"], "dynamic")
        files["int8-static"] = folder / "model-int8-static.onnx"
        quantise(files["float32"], files["int8-static"], "static", calibration(split))
    return files


def calibration(split: TaskSplit) -> list[Inputs]:
    """The first rows of a split in batches."""
    rows = min(CALIBRATION_ROWS, len(split))
    return list(_batches(split, CALIBRATION_BATCH, rows))


def score_file(path: Path, task: TaskSpec, split: TaskSplit, seed: int) -> list[Measurement]:
    """The test metrics of an ONNX file, measured as training measures them.

    Args:
        path: a file of `write_forms`.
        task: whose it is.
        split: its test rows.
        seed: of the bootstrap interval: the trial's.
    """
    predictions, labels = decode(task, split, run_split(path, split))
    return score_split(task, "test", predictions, labels, seed)


def run_split(path: Path, split: TaskSplit) -> npt.NDArray[np.float32]:
    """The logits of all rows."""
    session = open_session(path, threads=1)
    return np.concatenate([run_session(session, inputs) for inputs in _batches(split, SCORING_BATCH, len(split))])


def _batches(split: TaskSplit, size: int, rows: int) -> Iterator[Inputs]:
    parts: tuple[Any, ...] = (split.token_ids, split.mask, split.token_types)
    for start in range(0, rows, size):
        chosen = slice(start, min(start + size, rows))
        ids, mask, types = (np.ascontiguousarray(part[chosen], dtype=np.int64) for part in parts)
        yield Inputs(ids, mask, types)
