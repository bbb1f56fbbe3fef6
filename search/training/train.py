"""One whole training: knowledge transfer, pre-training or distillation, then fine-tuning and scoring of every task."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model_zoo.networks import PreTrainingNetwork, TaskNetwork, copy_from_teacher
from search.data.prepare import OpenData
from search.data.spec import TaskSpec
from search.record import CurvePoint, Interval, Measurement
from search.seeds import stream_seed
from search.training.acceleration import OFF, Acceleration
from search.training.evaluate import evaluate
from search.training.loop import (
    DivergedError,
    Keeper,
    Position,
    load,
    restore,
    restore_stage,
    run_stage,
    save,
    seconds_spent,
)
from search.training.precision import compile_blocks, in_precision
from search.training.stages import Batches, Stage, fine_tuning_stage, pretraining_stage, transfer_stage
from search.trial import TrialSpec
from search.values import from_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a training gave. A diverged one has no accuracy and no weights."""

    status: str
    reason: str
    measurements: tuple[Measurement, ...]
    curves: tuple[CurvePoint, ...]
    weights: dict[str, Tensor]
    """`pretrained/...` and `tasks/<name>/...`."""


def train(
    spec: TrialSpec,
    data: OpenData,
    *,
    keeper: Keeper,
    teacher_weights: Mapping[str, Tensor] | None = None,
    device: str = "cpu",
    acceleration: Acceleration = OFF,
) -> Outcome:
    """Train one trial, or go on from its checkpoint; on the CPU the result is the same bit for bit.

    Args:
        data: what `spec.data` names, opened.
        keeper: where checkpoints go.
        teacher_weights: the `pretrained/...` tensors of the teacher's training, where the spec has a teacher.
        acceleration: how the machine is used.

    Raises:
        ValueError: the checkpoint is corrupted, or the teacher's weights are missing.
    """
    with torch.random.fork_rng(devices=[]):
        training = _Training(spec, data, keeper, teacher_weights, torch.device(device), acceleration)
        try:
            training.run()
        except DivergedError as error:
            measurements = tuple(_train_seconds(training))
            curves = tuple(training.position.curves)
            return Outcome(status="diverged", reason=str(error), measurements=measurements, curves=curves, weights={})
        return training.outcome()


class _Training:
    """The state of one training: networks and position. Private: `train` is the interface."""

    def __init__(
        self,
        spec: TrialSpec,
        data: OpenData,
        keeper: Keeper,
        teacher_weights: Mapping[str, Tensor] | None,
        device: torch.device,
        acceleration: Acceleration,
    ) -> None:
        self.acceleration = acceleration
        self.spec, self.data, self.keeper, self.device = spec, data, keeper, device
        torch.manual_seed(stream_seed(spec.seed, "initialisation"))
        self.network = PreTrainingNetwork(spec.student, pooler=spec.recipe.pooler).to(device)
        self.teacher = None if spec.teacher is None else _teacher(spec.teacher, teacher_weights, device)
        if self.teacher is not None and spec.recipe.knowledge_transfer is not None:
            copy_from_teacher(self.network, self.teacher)
        if acceleration.compile_blocks:
            compile_blocks(*(network.encoder for network in (self.network, self.teacher) if network is not None))
        self.tasks: dict[str, TaskNetwork] = {}
        saved = load(keeper)
        self.position = saved[0] if saved else Position()
        self.checkpoint = saved[1] if saved else None

    def run(self) -> None:
        """All stages that are not done yet."""
        names = self._stage_names()
        if self.checkpoint is not None:
            self._restore_finished(names)
        for index in range(self.position.stage, len(names)):
            stage = self._stage(names[index])
            stage = stage._replace(loss=in_precision(stage.loss, self.acceleration.precision, self.device))
            if self.checkpoint is not None and self.position.step > 0:
                restore_stage(stage, self.checkpoint)
            else:
                torch.manual_seed(stream_seed(self.spec.seed, "dropout", names[index]))
            self.checkpoint = None
            run_stage(stage, self.position, self.keeper, self._others(stage.network))
            self._finish(names[index], stage)
            save(self.keeper, self.position, self._others(), None)

    def outcome(self) -> Outcome:
        """The finished training."""
        named: dict[str, nn.Module] = {"pretrained": self.network}
        named |= {f"tasks/{name}": network for name, network in self.tasks.items()}
        weights = {f"{name}/{key}": tensor for name, net in named.items() for key, tensor in net.state_dict().items()}
        measured = [from_json(Measurement, item) for item in self.position.measurements]
        return Outcome(
            status="complete",
            reason="",
            measurements=(*_means(measured), *measured, *_train_seconds(self)),
            curves=tuple(self.position.curves),
            weights={name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()},
        )

    def _stage_names(self) -> list[str]:
        transfer = ["transfer"] if self.spec.recipe.knowledge_transfer else []
        return [*transfer, "pre-training", *(task.name for task in self.spec.data.tasks)]

    def _stage(self, name: str) -> Stage:
        recipe = self.spec.recipe
        batches = Batches(self.data.pretraining, self.spec.seed, self.spec.data.length, self.device, self.acceleration)
        if name == "transfer":
            assert recipe.knowledge_transfer is not None and self.teacher is not None
            return transfer_stage(self.network, self.teacher, batches, recipe.knowledge_transfer)
        if name == "pre-training":
            first_update = recipe.student_updates - recipe.pre_training.steps
            return pretraining_stage(self.network, self.teacher, batches, recipe.pre_training, first_update)
        task = self._task(name)
        self.tasks[name] = self._task_network(task)
        split = self.data.tasks[name]["train"]
        return fine_tuning_stage(self.tasks[name], task, split, recipe.fine_tuning, self.spec.seed)

    def _task(self, name: str) -> TaskSpec:
        return next(task for task in self.spec.data.tasks if task.name == name)

    def _task_network(self, task: TaskSpec) -> TaskNetwork:
        torch.manual_seed(stream_seed(self.spec.seed, "head", task.name))
        outputs = {"classification": task.num_labels, "regression": 1, "span": 0}[task.kind]
        encoder = copy.deepcopy(self.network.encoder)
        return TaskNetwork(encoder, outputs, pooler=self.spec.recipe.pooler).to(self.device)

    def _finish(self, name: str, stage: Stage) -> None:
        if name in self.tasks:
            splits = self.data.tasks[name]
            found = evaluate(self.tasks[name], self._task(name), splits, self.spec.seed)
            self.position.measurements += [to_json(measurement) for measurement in found]
        self.position.stage += 1
        self.position.step = 0

    def _others(self, current: nn.Module | None = None) -> dict[str, nn.Module]:
        named: dict[str, nn.Module] = {"pretrained": self.network}
        named |= {f"tasks/{name}": network for name, network in self.tasks.items()}
        return {name: network for name, network in named.items() if network is not current}

    def _restore_finished(self, names: list[str]) -> None:
        """Networks of the stages before the saved one."""
        assert self.checkpoint is not None
        if any(key.startswith("pretrained/") for key in self.checkpoint.tensors):
            restore(self.network, "pretrained", self.checkpoint)
        for name in names[: self.position.stage]:
            if name not in ("transfer", "pre-training"):
                self.tasks[name] = self._task_network(self._task(name))
                restore(self.tasks[name], f"tasks/{name}", self.checkpoint)


def _teacher(spec: TrialSpec, weights: Mapping[str, Tensor] | None, device: torch.device) -> PreTrainingNetwork:
    if weights is None:
        raise ValueError("a trial with a teacher needs the teacher's weights, got none; train the teacher first")
    network = PreTrainingNetwork(spec.student, pooler=spec.recipe.pooler).to(device)
    prefix = "pretrained/"
    network.load_state_dict({n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)})
    return network.eval().requires_grad_(False)


def _means(measured: list[Measurement]) -> list[Measurement]:
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


def _train_seconds(training: _Training) -> list[Measurement]:
    seconds = seconds_spent(training.position, training.keeper)
    conditions = {"clock": "processor time of training and scoring, without start-up and without work lost to a crash"}
    return [Measurement(metric="train_seconds", value=seconds, unit="s", n=1, conditions=conditions)]
