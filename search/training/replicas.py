"""Replicas: several seeds of one trial, trained as one computation.

Weights, optimizer state and teachers are stacked along a first dimension, and a stage's own objective runs under
torch.vmap, so that every operation covers all replicas. Nothing is computed across that dimension: batches, teacher,
gradient norm, trust ratios and outcome are each replica's own, and a replica differs from the same seed trained alone
by rounding only. Fine-tuned networks are scored one seed after another. A group ends by leaving every trial an ordinary
checkpoint, from which `search.training.train.train` goes on: to its outcome, or to its tasks where those cannot be
stacked (`search/training/replica_fit.py`). Teacher outputs are computed, never kept.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from search.data.prepare import OpenData
from search.fingerprint import fingerprint
from search.training.acceleration import OFF, Acceleration
from search.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from search.training.loop import DivergedError, Keeper, Position, divergence, from_state, log_loss, save, to_state
from search.training.planned import PlannedStage, planned_stages
from search.training.replica_fit import check_replicas, unfit_tasks
from search.training.replica_stage import ReplicaStage, batched_attention
from search.training.stacked import stack
from search.training.stages import Batches, Stage
from search.training.task_rows import TaskObjective
from search.training.train import Training
from search.trial import TrialSpec


class Replica(NamedTuple):
    """One seed of a group."""

    spec: TrialSpec
    teacher_weights: Mapping[str, Tensor] | None
    keeper: Keeper
    """Of the trial itself: where the group leaves its checkpoint."""
    ensemble_weights: Sequence[Mapping[str, Tensor]] = ()
    """Of the spec's further teachers, in their order."""


def train_replicas(
    replicas: Sequence[Replica],
    data: OpenData,
    *,
    keeper: Keeper,
    device: str = "cpu",
    acceleration: Acceleration = OFF,
) -> None:
    """Train all stages that can be stacked, or go on from the group's checkpoint; on the CPU the same bit for bit.

    Afterwards every replica's own keeper has a checkpoint; of one that diverged it says where.

    Args:
        data: what the trials' data name, opened.
        keeper: of the group's one checkpoint.
        acceleration: how the machine is used; outputs are not kept.

    Raises:
        ValueError: the trials are no replicas of each other, or the checkpoint is corrupted or of other trials.
    """
    check_replicas([replica.spec for replica in replicas], acceleration)
    with torch.random.fork_rng(devices=[]):
        group = _Group(replicas, data, keeper, torch.device(device), acceleration)
        group.run()
        group.hand_over()


class _Group:
    """The replicas in progress: their trainings, each with its position. Private: `train_replicas` is the
    interface."""

    def __init__(
        self,
        replicas: Sequence[Replica],
        data: OpenData,
        keeper: Keeper,
        device: torch.device,
        acceleration: Acceleration,
    ) -> None:
        self.replicas, self.keeper, self.acceleration = replicas, keeper, acceleration
        self.specs = [replica.spec for replica in replicas]
        self.trainings = [Training(one.spec, data, one.keeper, one.teacher_weights, device, OFF) for one in replicas]
        cpu = torch.device("cpu")
        self.batches = [Batches(data.pretraining, spec.seed, spec.data.length, cpu) for spec in self.specs]
        for replica, training in zip(replicas, self.trainings, strict=True):
            training.ensemble_weights = replica.ensemble_weights
            # A trial that the group has been left for already starts anew with it.
            training.position, training.checkpoint = Position(), None
        with_tasks = not unfit_tasks(self.specs[0])
        self.planned = [stage for stage in planned_stages(self.specs[0]) if with_tasks or not stage.tasks]
        self.stage = self.step = 0
        self.seconds, self.saved = 0.0, dict[str, Tensor]()
        if keeper.path.exists():
            self._load()

    def run(self) -> None:
        """All stages that can be stacked and are not done yet, until every replica has diverged."""
        for planned in self.planned[self.stage :]:
            if any(self._healthy()):
                self._run_stage(planned)

    def hand_over(self) -> None:
        """Leave every trial its own checkpoint, as if it had come so far alone, with its share of the time."""
        share = self._seconds() / len(self.replicas)
        for replica, training in zip(self.replicas, self.trainings, strict=True):
            position = training.position
            position.replicas, position.replica_stages = len(self.replicas), len(self.planned)
            position.seconds = share
            networks = {} if position.diverged else training.others()
            save(replace(replica.keeper, started=time.process_time()), position, networks, None)

    def _healthy(self) -> Iterator[Training]:
        return (training for training in self.trainings if not training.position.diverged)

    def _run_stage(self, planned: PlannedStage) -> None:
        stages = [training.stage(planned) for training in self.trainings]
        current = ReplicaStage(stages, self._teachers(stages), self.batches, self.acceleration)
        if self.step:
            current.restore(self.saved)
        self.saved = {}
        with batched_attention():
            self._update(stages, current)
        current.write_back()
        for training, stage in zip(self.trainings, stages, strict=True):
            self._finish(training, planned, stage)
        self.stage, self.step = self.stage + 1, 0
        self._save(self._others())

    def _update(self, stages: Sequence[Stage], current: ReplicaStage) -> None:
        """The updates of a stage that are not done yet."""
        last_save = time.monotonic()
        while self.step < stages[0].steps and any(self._healthy()):
            self._note(stages[0], *current.step(self.step))
            self.step += 1
            if time.monotonic() - last_save >= self.keeper.seconds:
                self._save(current.tensors() | self._others(stages))
                last_save = time.monotonic()
            self._tell(stages[0])

    def _teachers(self, stages: Sequence[Stage]) -> list[nn.Module]:
        """Of every replica: fine-tuned on the stage's task, or pre-trained."""
        on_tasks = [stage.objective for stage in stages if isinstance(stage.objective, TaskObjective)]
        found = [one.teacher for one in on_tasks] if on_tasks else [training.teacher for training in self.trainings]
        return [teacher for teacher in found if teacher is not None]

    def _note(self, stage: Stage, losses: Sequence[float], norms: Sequence[float]) -> None:
        """Every replica's loss, or where it diverged: that ends it, as it ends a training alone."""
        for training, loss, norm in zip(self.trainings, losses, norms, strict=True):
            position = training.position
            if position.diverged:
                continue
            position.diverged = divergence(stage, self.step, loss=loss, norm=norm)
            if not position.diverged:
                log_loss(stage, position, loss)
                position.step += 1
                position.updates += 1

    def _finish(self, training: Training, planned: PlannedStage, stage: Stage) -> None:
        """Score what a replica has been fine-tuned on; logits that are not finite end it, as they end it alone."""
        if training.position.diverged:
            return
        try:
            training.finish(planned, stage)
        except DivergedError as error:
            training.position.diverged = str(error)
        if planned.tasks:  # several networks to score take their time, and a silent worker is taken for dead
            self._tell(stage)

    def _tell(self, stage: Stage) -> None:
        self.keeper.tell(stage.name, max(training.position.updates for training in self.trainings))

    def _others(self, stages: Sequence[Stage] | None = None) -> dict[str, Tensor]:
        """The replicas' networks that are no part of the current stage, stacked, as `_load` reads them."""
        current = [None] * len(self.trainings) if stages is None else [stage.network for stage in stages]
        found = [training.others(own) for training, own in zip(self.trainings, current, strict=True)]
        return {
            f"{name}/{key}": tensor
            for name in found[0]
            for key, tensor in stack([networks[name] for networks in found]).items()
        }

    def _save(self, tensors: dict[str, Tensor]) -> None:
        state = {
            "replicas": [fingerprint(spec) for spec in self.specs],
            "seeds": [spec.seed for spec in self.specs],
            "stage": self.stage,
            "step": self.step,
            "seconds": self._seconds(),
            "positions": [to_state(training.position) for training in self.trainings],
        }
        save_checkpoint(self.keeper.path, Checkpoint(tensors, state))

    def _load(self) -> None:
        self.saved, state = load_checkpoint(self.keeper.path)
        if state["replicas"] != [fingerprint(spec) for spec in self.specs]:
            got = f"those of seeds {', '.join(str(spec.seed) for spec in self.specs)}"
            raise ValueError(other_members(self.keeper.path.name, state["seeds"], got))
        self.stage, self.step, self.seconds = state["stage"], state["step"], state["seconds"]
        networks = {name: each for name, each in self.saved.items() if not name.startswith(("current/", "optimizer/"))}
        for index, (training, position) in enumerate(zip(self.trainings, state["positions"], strict=True)):
            training.position = from_state(position)
            own = Checkpoint({name: each[index] for name, each in networks.items()}, {})
            training.restore_finished(own, self.planned[: self.stage])

    def _seconds(self) -> float:
        return self.seconds + time.process_time() - self.keeper.started


def other_members(name: str, seeds: Sequence[int], got: str) -> str:
    """The one line that says why a group's checkpoint cannot be gone on from.

    Args:
        name: of the checkpoint's file.
        seeds: that the group began with.
        got: what is asked for instead.
    """
    began = ", ".join(map(str, seeds))
    return (
        f"a replica group goes on with the trials that it began with, those of seeds {began}, got {got}; run with "
        f"--replicas {len(seeds)}, or delete checkpoints/{name}"
    )
