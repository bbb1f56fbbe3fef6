"""Replicas: several seeds of one trial, whose stages before the tasks are trained as one computation.

Weights, optimizer state and teachers are stacked along a first dimension, and a stage's own objective runs under
torch.vmap, so that every operation covers all replicas. Nothing is computed across that dimension: batches, teacher,
gradient norm, trust ratios and outcome are each replica's own, and a replica differs from the same seed trained alone
by rounding only. Tasks are no part of it: a group ends by leaving every trial an ordinary checkpoint, from which
`search.training.train.train` goes on, one seed at a time. Teacher outputs are computed, never kept.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.networks import PreTrainingNetwork
from search.data.prepare import OpenData
from search.fingerprint import fingerprint
from search.study import at_seed
from search.training.acceleration import OFF, Acceleration
from search.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from search.training.lamb import Lamb
from search.training.lookahead import ahead
from search.training.loop import Keeper, Position, divergence, from_state, log_loss, save, to_state
from search.training.planned import PlannedStage, planned_stages
from search.training.precision import autocast
from search.training.stacked import clip_each, stack, unstack
from search.training.stages import TENSORS, Batch, Batches, Stage
from search.training.teacher_outputs import Wanted, from_tensors, teach, to_tensors
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
    # torch has no batched form of the CPU's fused attention: vmap would run it replica by replica.
    with torch.random.fork_rng(devices=[]), sdpa_kernel(SDPBackend.MATH):
        group = _Group(replicas, data, keeper, torch.device(device), acceleration)
        group.run()
        group.hand_over()


class ReplicaStage:
    """One stage of all replicas; `step` is what the engine calls.

    Args:
        stages: the same stage of every replica, as it would be trained alone; the first lends its code to all.
        teachers: of every replica; empty where none is asked.
        batches: of every replica, on the CPU.
        acceleration: lookahead, prefetch and precision count.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        teachers: Sequence[PreTrainingNetwork],
        batches: Sequence[Batches],
        acceleration: Acceleration = OFF,
    ) -> None:
        self.stage, self.acceleration, self.batches = stages[0], acceleration, batches
        assert self.stage.objective is not None
        self.objective = self.stage.objective
        self.networks = [stage.network for stage in stages]
        self.stage.network.train(self.stage.dropout)
        self.weights, self.taught_by = stack(self.networks), stack(teachers) if teachers else {}
        self.device = next(iter(self.weights.values())).device
        self.optimizer = _stacked_optimizer(self.stage, self.weights)
        self.student = _Asked(self.stage.network, self.objective.value)
        self.teacher = _Asked(teachers[0], _taught(teachers[0])) if teachers else None
        stop = self.objective.updates.stop
        self.batch_of = ahead(self._batch, stop) if acceleration.prefetch else self._batch
        self.target_of = ahead(self._target, stop) if acceleration.lookahead else self._target

    def step(self, step: int) -> tuple[list[float], list[float]]:
        """One update of all replicas; the losses and the gradient norms before clipping, one per replica.

        A replica whose loss or gradient is not finite holds nothing of use from then on; it changes no other, as no
        operation reaches across replicas.
        """
        for group, rate in zip(self.optimizer.param_groups, self.stage.rates(step), strict=True):
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        if self.objective.prepare is not None:
            self.objective.prepare(step)
            self._take_over_frozen()
        batch, taught = self.target_of(self.objective.updates[step])

        def loss(weights: dict[str, Tensor], own: dict[str, Tensor], other: dict[str, Tensor]) -> Any:
            return self.student.with_weights(weights, step, _one_batch(own), self._answers(step, other))

        with autocast(self.acceleration.precision, self.device):
            losses = torch.vmap(loss)(self.weights, batch, taught)
        losses.sum().backward()
        gradients = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        norms = clip_each(gradients, self.stage.clip_norm)
        self.optimizer.step()
        found = torch.stack((losses.detach(), norms)).tolist()  # the one time that the host waits for a GPU
        return found[0], found[1]

    def write_back(self) -> None:
        """Give every replica's network its weights."""
        unstack(self.weights, self.networks)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds of a stage."""
        return {f"current/{name}": weight for name, weight in self.weights.items()} | optimizer_tensors(self.optimizer)

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to what `tensors` gave."""
        for name, weight in self.weights.items():
            weight.copy_(tensors[f"current/{name}"])
        restore_optimizer(self.optimizer, tensors)

    def _take_over_frozen(self) -> None:
        alone = self.stage.optimizer.param_groups
        for group, own in zip(self.optimizer.param_groups, alone, strict=True):
            for weight, parameter in zip(group["params"], own["params"], strict=True):
                weight.requires_grad_(parameter.requires_grad)

    def _wanted(self, update: int) -> Wanted:
        return Wanted() if self.objective.wanted is None else self.objective.wanted(update)

    def _answers(self, step: int, tensors: Mapping[str, Tensor]) -> Any:
        return from_tensors(tensors, 0, self._wanted(self.objective.updates[step]))

    def _batch(self, update: int) -> dict[str, Tensor]:
        """Every replica's batch of one update, stacked, on the device."""
        found = stacked_batch([one.get(update, self.objective.batch_size) for one in self.batches])
        if self.acceleration.prefetch and self.device.type == "cuda":
            return {name: one.pin_memory().to(self.device, non_blocking=True) for name, one in found.items()}
        return {name: one.to(self.device) for name, one in found.items()}

    def _target(self, update: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Batch and teacher outputs of one update."""
        batch, wanted = self.batch_of(update), self._wanted(update)
        if self.teacher is None or wanted == Wanted():
            return batch, {}
        teacher = self.teacher

        def answers(weights: dict[str, Tensor], own: dict[str, Tensor]) -> Any:
            return teacher.with_weights(weights, _one_batch(own), wanted)

        with torch.no_grad(), autocast(self.acceleration.precision, self.device):
            return batch, torch.vmap(answers)(self.taught_by, batch)


def stacked_batch(batches: Sequence[Batch]) -> dict[str, Tensor]:
    """The fields of several batches, each (replicas, ...); masked positions are filled up to the largest number."""
    most = max(len(batch.masked_positions) for batch in batches)

    def filled(name: str, batch: Batch) -> Tensor:
        tensor: Tensor = getattr(batch, name)
        if name not in ("masked_positions", "masked_labels"):
            return tensor
        return nn.functional.pad(tensor, (0, most - len(tensor)))

    counts = torch.tensor([len(batch.masked_positions) for batch in batches])
    real = torch.arange(most) < counts.unsqueeze(1)
    return {name: torch.stack([filled(name, batch) for batch in batches]) for name in TENSORS} | {"masked_real": real}


def _one_batch(fields: Mapping[str, Tensor]) -> Batch:
    return Batch._make((*(fields[name] for name in TENSORS), 1.0, 1.0, fields["masked_real"]))


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


class _Asked(nn.Module):
    """A function that reads a network, as a module whose weights can be given for one call."""

    def __init__(self, network: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.network = network
        self.function = function

    def forward(self, *given: Any) -> Any:
        """What the function gives."""
        return self.function(*given)

    def with_weights(self, weights: Mapping[str, Tensor], *given: Any) -> Any:
        """The same with other weights in the network, by their names there."""
        return functional_call(self, {f"network.{name}": tensor for name, tensor in weights.items()}, given)


def _taught(teacher: PreTrainingNetwork) -> Callable[[Batch, Wanted], dict[str, Tensor]]:
    return lambda batch, wanted: to_tensors(teach(teacher, batch, wanted), 0)


def _stacked_optimizer(stage: Stage, weights: Mapping[str, Tensor]) -> torch.optim.Optimizer:
    """The stage's optimizer over stacked weights, which from now on have gradients."""
    names = {id(parameter): name for name, parameter in stage.network.named_parameters()}
    groups = [
        group | {"params": [weights[names[id(one)]].requires_grad_() for one in group["params"]], "stacked": True}
        for group in stage.optimizer.param_groups
    ]
    if isinstance(stage.optimizer, Lamb):
        return Lamb(groups, lr=0.0)
    return torch.optim.AdamW(groups, fused=True)


def _network(training: Training) -> PreTrainingNetwork:
    assert training.network is not None
    return training.network
