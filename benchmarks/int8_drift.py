"""What int8 costs a trained student: scores of every task before and after, and the blocks responsible.

    python -m benchmarks.int8_drift RUN:FINGERPRINT [--fall 0.5]

For every task the float32, dynamic int8 and static int8 ONNX files are scored on test. Where a form falls by more than
`--fall` points of the primary metric, it is quantised again with one group of products at a time left in float32: the
groups that give most back are responsible.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import header, machine
from model_zoo.onnx_export import Int8, products, quantise
from search.data.spec import TaskSpec
from search.data.tasks import TaskSplit
from search.export.onnx import CALIBRATION_ROWS, calibration, score_file, write_forms
from search.export.subject import trial_subject

FORMS: dict[str, Int8] = {"int8-dynamic": "dynamic", "int8-static": "static"}


def primary(path: Path, task: TaskSpec, split: TaskSplit, seed: int) -> float:
    """The task's primary metric on test, in per cent."""
    return score_file(path, task, split, seed)[0].value


def group_of(module: str) -> str:
    """The part of a network that a product belongs to: a block, the embedding, or the head.

    >>> group_of("encoder.blocks.3.inner.0"), group_of("encoder.embedding"), group_of("head.dense")
    ('blocks.3', 'embedding', 'head')
    """
    parts = module.removeprefix("encoder.").split(".")
    return ".".join(parts[:2]) if parts[0] == "blocks" else parts[0]


def responsible(
    files: dict[str, Path], form: str, task: TaskSpec, splits: dict[str, TaskSplit], seed: int
) -> list[tuple[str, float]]:
    """Score with each group left in float32, best first."""
    groups: dict[str, list[str]] = {}
    for name, module in products(files["float32"]).items():
        groups.setdefault(group_of(module), []).append(name)
    found = []
    for group, names in groups.items():
        target = files["float32"].with_name("left-out.onnx")
        batches = calibration(splits["train"]) if FORMS[form] == "static" else ()
        quantise(files["float32"], target, FORMS[form], batches, exclude=names)
        found.append((group, primary(target, task, splits["test"], seed)))
    return sorted(found, key=lambda item: -item[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("trial", help="RUN:FINGERPRINT of a complete trial with weights")
    parser.add_argument(
        "--fall", type=float, default=0.5, help="points from which the blocks responsible are looked for"
    )
    options = parser.parse_args(arguments)
    folder, _, prefix = options.trial.rpartition(":")
    subject = trial_subject(Path(folder), prefix)
    assert subject.trained is not None
    record, data = subject.trained.record, subject.trained.data
    print(header(machine()))
    print(f"{subject.name}, scores on test in %; static ranges from {CALIBRATION_ROWS} rows of each task's train")
    print(f"{'task':14} {'metric':10} {'float32':>8} {'dynamic':>8} {'static':>8}")
    with tempfile.TemporaryDirectory() as temporary:
        for task in record.spec.data.tasks:
            splits, place = data.tasks[task.name], Path(temporary) / task.name
            place.mkdir()
            files = write_forms(subject.tasks[task.name], splits["train"], place, int8=True)
            scores = {form: primary(path, task, splits["test"], record.spec.seed) for form, path in files.items()}
            print(
                f"{task.name:14} {task.metric:10} " + " ".join(f"{score:8.2f}" for score in scores.values()), flush=True
            )
            for form in FORMS:
                if scores["float32"] - scores[form] > options.fall:
                    for group, score in responsible(files, form, task, splits, record.spec.seed)[:3]:
                        print(f"  {form} with {group} in float32: {score:.2f}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
