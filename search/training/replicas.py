"""Replicas: several seeds of one trial, whose stages before the tasks are trained as one computation.

Weights, optimizer state and teachers are stacked along a first dimension, and a stage's own objective runs under
torch.vmap, so that every operation covers all replicas. Nothing is computed across that dimension: batches, teacher,
gradient norm, trust ratios and outcome are each replica's own, and a replica differs from the same seed trained alone
by rounding only. Tasks are no part of it: a group ends by leaving every trial an ordinary checkpoint, from which
`search.training.train.train` goes on, one seed at a time. Teacher outputs are computed, never kept.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.networks import PreTrainingNetwork
from search.data.prepare import OpenData
from search.fingerprint import fingerprint
from search.study import at_seed
from search.training.acceleration import OFF, Acceleration
from search.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from search.training.loop import Keeper, Position, divergence, from_state, log_loss, save, to_state
from search.training.planned import PlannedStage, planned_stages
from search.training.replica_stage import ReplicaStage, batched_attention
from search.training.stacked import stack, unstack
from search.training.stages import Batches, Stage
from search.training.train import Training
from search.trial import TrialSpec

COMMON_SEED = 2**31
"""What trials are compared at: so large that an ensemble's seeds, which keep their distance, stay above 0."""


class Replica(NamedTuple):
    """One seed of a group."""

    spec: TrialSpec
    teacher_weights: Mapping[str, Tensor] | None
    keeper: Keeper
    """Of the trial itself: where the group leaves its checkpoint."""


def unfit(spec: TrialSpec, acceleration: Acceleration = OFF) -> str:
    """Why a trial cannot be trained as one of several replicas, in a few words; "" where it can."""
    if isinstance(spec.student, BiLSTMConfig):
        return "a BiLSTM has no stage before its tasks"
    transfer, pre_training = spec.recipe.knowledge_transfer, spec.recipe.pre_training
    auxiliary = transfer is not None and transfer.strategy == "auxiliary"
    on_labels = pre_training.steps > 0 and not pre_training.distils and not auxiliary
    encoders = [spec.student, *(teacher.encoder for teacher in spec.teachers)]
    reasons = {
        "dropout, which training on labels has, is drawn for one seed at a time": on_labels
        and max(spec.student.hidden_dropout, spec.student.attention_dropout) > 0,
        "the triple loss reads another number of tokens in every seed's batch": pre_training.triple is not None,
        "a loss of one's own is given one seed's tensors": pre_training.own_loss is not None
        or (transfer is not None and transfer.own_loss is not None),
        "a feed-forward of one's own is given one seed's tensors": any(
            encoder.feed_forward != "dense" for encoder in encoders
        ),
        "compiled blocks have one seed's weights": acceleration.compiled != "nothing",
        "several processes train one seed": acceleration.ranks.size > 1,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def check_replicas(specs: Sequence[TrialSpec], acceleration: Acceleration = OFF) -> None:
    """Raises ValueError unless the trials are one trial with different seeds, of a kind that can be stacked."""
    if len({fingerprint(spec) for spec in specs}) < len(specs) or len({arm_mark(spec) for spec in specs}) != 1:
        seeds = ", ".join(str(spec.seed) for spec in specs)
        raise ValueError(
            f"replicas are one trial with different seeds, got {len(specs)} trials of seeds {seeds} that are not; "
            "train them one at a time"
        )
    reason = unfit(specs[0], acceleration)
    if reason:
        raise ValueError(f"replicas are trained as one computation, got trials that cannot be: {reason}; use 1 replica")


def arm_mark(spec: TrialSpec) -> str:
    """What trials that differ in nothing but their seed have in common."""
    return fingerprint(at_seed(spec, COMMON_SEED))


def train_replicas(
    replicas: Sequence[Replica],
    data: OpenData,
    *,
    keeper: Keeper,
    device: str = "cpu",
    acceleration: Acceleration = OFF,
) -> None:
    """Train what comes before the tasks, or go on from the group's checkpoint; on the CPU the same bit for bit.

    Afterwards every replica's own keeper has a checkpoint; of one that diverged it says where.

    Args:
        data: what the trials' data name, opened.
        keeper: of the group's one checkpoint.
        acceleration: how the machine is used; outputs are not kept.

    Raises:
        ValueError: the trials are no replicas of each other, or the checkpoint is corrupted or of other trials.
    """
    check_replicas([replica.spec for replica in replicas], acceleration)
    with torch.random.fork_rng(devices=[]), batched_attention():
        group = _Group(replicas, data, keeper, torch.device(device), acceleration)
        group.run()
        group.hand_over()


class _Group:
    """The replicas in progress: their trainings, and one position for each. Private: `train_replicas` is the
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
        self.positions = [Position() for _ in replicas]
        for training in self.trainings:  # a trial that the group has been left for already starts anew with it
            training.position, training.checkpoint = Position(), None
        self.stage = self.step = 0
        self.seconds, self.saved = 0.0, dict[str, Tensor]()
        if keeper.path.exists():
            self._load()

    def run(self) -> None:
        """All stages before the tasks that are not done yet."""
        planned = [stage for stage in planned_stages(self.specs[0]) if not stage.tasks]
        for index in range(self.stage, len(planned)):
            self._run_stage(planned[index])

    def hand_over(self) -> None:
        """Leave every trial its own checkpoint, as if it had come so far alone, with its share of the time."""
        share = self._seconds() / len(self.replicas)
        for replica, training, position in zip(self.replicas, self.trainings, self.positions, strict=True):
            position.replicas, position.seconds = len(self.replicas), share
            networks = {} if position.diverged else training.others()
            save(replace(replica.keeper, started=time.process_time()), position, networks, None)

    def _run_stage(self, planned: PlannedStage) -> None:
        stages = [training.stage(planned) for training in self.trainings]
        teachers = [training.teacher for training in self.trainings if training.teacher is not None]
        current = ReplicaStage(stages, teachers, self.batches, self.acceleration)
        if self.step:
            current.restore(self.saved)
        self.saved, last_save = {}, time.monotonic()
        while self.step < stages[0].steps and any(not position.diverged for position in self.positions):
            self._note(stages[0], *current.step(self.step))
            self.step += 1
            if time.monotonic() - last_save >= self.keeper.seconds:
                self._save(current.tensors())
                last_save = time.monotonic()
            self.keeper.tell(stages[0].name, max(position.updates for position in self.positions))
        current.write_back()
        self.stage, self.step = self.stage + 1, 0
        for position in self.positions:
            if not position.diverged:
                position.stage, position.step = self.stage, 0
        weights = stack([_network(training) for training in self.trainings])
        self._save({f"pretrained/{name}": tensor for name, tensor in weights.items()})

    def _note(self, stage: Stage, losses: Sequence[float], norms: Sequence[float]) -> None:
        """Every replica's loss, or where it diverged: that ends it, as it ends a training alone."""
        for position, loss, norm in zip(self.positions, losses, norms, strict=True):
            if position.diverged:
                continue
            position.diverged = divergence(stage, self.step, loss=loss, norm=norm)
            if not position.diverged:
                log_loss(stage, position, loss)
                position.step += 1
                position.updates += 1

    def _save(self, tensors: dict[str, Tensor]) -> None:
        state = {
            "replicas": [fingerprint(spec) for spec in self.specs],
            "seeds": [spec.seed for spec in self.specs],
            "stage": self.stage,
            "step": self.step,
            "seconds": self._seconds(),
            "positions": [to_state(position) for position in self.positions],
        }
        save_checkpoint(self.keeper.path, Checkpoint(tensors, state))

    def _load(self) -> None:
        self.saved, state = load_checkpoint(self.keeper.path)
        if state["replicas"] != [fingerprint(spec) for spec in self.specs]:
            got = f"those of seeds {', '.join(str(spec.seed) for spec in self.specs)}"
            raise ValueError(other_members(self.keeper.path.name, state["seeds"], got))
        self.stage, self.step, self.seconds = state["stage"], state["step"], state["seconds"]
        self.positions = [from_state(position) for position in state["positions"]]
        if not self.step:
            weights = {name.removeprefix("pretrained/"): tensor for name, tensor in self.saved.items()}
            unstack(weights, [_network(training) for training in self.trainings])

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


def _network(training: Training) -> PreTrainingNetwork:
    assert training.network is not None
    return training.network
