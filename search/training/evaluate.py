"""Scores of a fine-tuned network on validation and test, with bootstrap intervals over the rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from model_zoo.bilstm_task import BiLSTMTask
from model_zoo.networks import TaskNetwork
from search.data.metrics import score, score_interval
from search.data.spans import decode_spans
from search.data.spec import TaskSpec
from search.data.tasks import TaskSplit
from search.record import Interval, Measurement
from search.seeds import stream_seed
from search.training.loop import DivergedError
from search.training.task_rows import task_tensors

BATCH_SIZE = 256
SECONDARY = {"f1": ("accuracy",), "span_f1": ("exact_match",), "spearman": ("pearson",)}
"""Metrics that GLUE and SQuAD report beside a primary one."""


def evaluate(
    network: TaskNetwork | BiLSTMTask, task: TaskSpec, splits: Mapping[str, TaskSplit], seed: int
) -> list[Measurement]:
    """The task's primary and secondary metrics, in per cent.

    Metric names are `<task>/<metric>` on test and `validation/<task>/<metric>` on validation. The interval is a
    bootstrap over the rows: what another sample of test rows could give, not what another seed could.
    """
    found: list[Measurement] = []
    for split in ("validation", "test"):
        predictions, labels = predict(network, task, splits[split])
        found += score_split(task, split, predictions, labels, seed)
    return found


def score_split(task: TaskSpec, split: str, predictions: Any, labels: Any, seed: int) -> list[Measurement]:
    """The metrics of one split, as `evaluate` names them, from predictions that `decode` made."""
    found: list[Measurement] = []
    prefix = "validation/" if split == "validation" else ""
    for metric in (task.metric, *SECONDARY.get(task.metric, ())):
        value = 100 * score(metric, predictions, labels)
        bounds = score_interval(metric, predictions, labels, seed=stream_seed(seed, "bootstrap", split))
        conditions: dict[str, Any] = {"task": task.name, "split": split, "primary": metric == task.metric}
        found.append(
            Measurement(
                metric=f"{prefix}{task.name}/{metric}",
                value=value,
                unit="%",
                n=len(labels),
                conditions=conditions,
                interval=Interval(low=100 * bounds.low, high=100 * bounds.high, level=bounds.level),
            )
        )
    return found


def mean_scores(measured: list[Measurement]) -> list[Measurement]:
    """The unweighted mean over tasks of each task's primary metric, for test (`accuracy`) and validation."""
    means: list[Measurement] = []
    for split, metric in (("test", "accuracy"), ("validation", "validation/accuracy")):
        chosen = [m for m in measured if m.conditions["split"] == split and m.conditions["primary"]]
        if chosen:
            conditions: dict[str, Any] = {"split": split, "tasks": len(chosen)}
            value = sum(m.value for m in chosen) / len(chosen)
            interval = _mean_interval(value, chosen)
            n = len(chosen)
            means.append(
                Measurement(metric=metric, value=value, unit="%", n=n, conditions=conditions, interval=interval)
            )
    return means


def _mean_interval(value: float, chosen: list[Measurement]) -> Interval | None:
    """Tasks' errors are independent: half-widths of the bootstrap intervals add in squares, over the number of
    tasks."""
    intervals = [m.interval for m in chosen if m.interval is not None]
    if len(intervals) < len(chosen):
        return None
    half = sum(((i.high - i.low) / 2) ** 2 for i in intervals) ** 0.5 / len(intervals)
    return Interval(low=value - half, high=value + half, level=intervals[0].level)


@torch.inference_mode()
def predict(network: TaskNetwork | BiLSTMTask, task: TaskSpec, split: TaskSplit) -> tuple[Any, Any]:
    """Predictions and labels as `search.data.metrics.score` takes them.

    Raises:
        DivergedError: a logit is not finite (the last update blew up: no later loss would show it).
    """
    network.eval()
    device = next(network.parameters()).device
    token_ids, mask, token_types, _ = task_tensors(split, device)
    rows = range(0, len(split), BATCH_SIZE)
    parts = [slice(start, start + BATCH_SIZE) for start in rows]
    logits = (
        torch.cat([network(token_ids[part], mask[part], token_types[part]) for part in parts]).float().cpu().numpy()
    )
    return decode(task, split, logits)


def decode(task: TaskSpec, split: TaskSplit, logits: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[Any, Any]:
    """Predictions and labels from the logits of all rows of a split, whatever ran the network.

    Raises:
        DivergedError: a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise DivergedError(f"the logits of task {task.name} are not finite")
    if task.kind == "classification":
        return logits.argmax(1), split.labels
    if task.kind == "regression":
        return logits[:, 0].astype(np.float64), split.labels
    assert split.spans is not None
    return decode_spans(split, logits[:, :, 0], logits[:, :, 1]), split.spans.answers
