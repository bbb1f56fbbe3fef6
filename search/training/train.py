"""One whole training: knowledge transfer, pre-training or distillation, then fine-tuning and scoring of every task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.bilstm_task import BiLSTMTask
from model_zoo.networks import MultiTaskNetwork, PreTrainingNetwork, TaskNetwork
from search.data.prepare import OpenData
from search.data.spec import TaskSpec
from search.recipe import KnowledgeTransfer
from search.record import CurvePoint, Measurement
from search.seeds import stream_seed
from search.training.acceleration import OFF, Acceleration, check_device
from search.training.checkpoint import Checkpoint
from search.training.compiling import compile_blocks, in_graphs
from search.training.evaluate import evaluate, mean_scores
from search.training.fine_tuning import fine_tuning_stage
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
from search.training.planned import PlannedStage, planned_stages
from search.training.precision import in_precision
from search.training.pretraining import auxiliary_stage, pretraining_stage
from search.training.products import fast_products
from search.training.ranks import check_ranks, with_own_dropout
from search.training.stages import Batches, Stage
from search.training.students import (
    bilstm_network,
    make_projection,
    multi_task_network,
    separate,
    start_from_teacher,
    task_network,
)
from search.training.task_stages import intermediate_stage, multi_task_stage
from search.training.teacher_network import TaskEnsemble, missing_tensors, teacher_network, teacher_task_network
from search.training.transfer import transfer_stage
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
    """`pretrained/...` (not of a BiLSTM) and `tasks/<name>/...`."""
    replicas: int = 1
    """How many seeds were trained as one computation, this one included."""


def train(
    spec: TrialSpec,
    data: OpenData,
    *,
    keeper: Keeper,
    teacher_weights: Mapping[str, Tensor] | None = None,
    ensemble_weights: Sequence[Mapping[str, Tensor]] = (),
    device: str = "cpu",
    acceleration: Acceleration = OFF,
) -> Outcome:
    """Train one trial, or go on from its checkpoint; on the CPU the result is the same bit for bit.

    Args:
        data: what `spec.data` names, opened.
        keeper: where checkpoints go.
        teacher_weights: the `pretrained/...` tensors of the teacher's training, where the spec has a teacher.
        ensemble_weights: the same of the spec's further teachers, in their order.
        acceleration: how the machine is used.

    Raises:
        ValueError: the checkpoint is corrupted, or the teacher's weights are missing.
    """
    with torch.random.fork_rng(devices=[]):
        training = Training(spec, data, keeper, teacher_weights, torch.device(device), acceleration)
        training.ensemble_weights = ensemble_weights
        try:
            training.run()
        except DivergedError as error:
            measurements = tuple(_train_seconds(training))
            curves = tuple(training.position.curves)
            return Outcome(
                status="diverged",
                reason=str(error),
                measurements=measurements,
                curves=curves,
                weights={},
                replicas=training.position.replicas,
            )
        return training.outcome()


class Training:
    """The state of one training: networks and position. `train` is the interface; replicas start from it too."""

    def __init__(
        self,
        spec: TrialSpec,
        data: OpenData,
        keeper: Keeper,
        teacher_weights: Mapping[str, Tensor] | None,
        device: torch.device,
        acceleration: Acceleration,
    ) -> None:
        check_device(acceleration, device.type)
        check_ranks(spec, acceleration.ranks.size)
        saved = load(keeper)
        self.position = saved[0] if saved else Position()
        self.checkpoint = saved[1] if saved else None
        # What was begun as one of several replicas goes on with the products of those.
        self.acceleration = replace(acceleration, products="torch") if self.position.replicas > 1 else acceleration
        self.spec, self.data, self.keeper, self.device = spec, data, keeper, device
        torch.manual_seed(stream_seed(spec.seed, "initialisation"))
        self.teacher_weights = teacher_weights
        self.ensemble_weights: Sequence[Mapping[str, Tensor]] = ()
        self.network: PreTrainingNetwork | None = None
        self.teacher: PreTrainingNetwork | None = None
        if not isinstance(spec.student, BiLSTMConfig):
            self._make_encoders()
        self.tasks: dict[str, TaskNetwork | BiLSTMTask] = {}

    def _make_encoders(self) -> None:
        """What is pre-trained, and the teacher that it hears; a BiLSTM hears the teachers of tasks alone."""
        spec, compiled = self.spec, self.acceleration.compiled
        self.network = PreTrainingNetwork(spec.encoder, pooler=spec.recipe.pooler).to(self.device)
        if spec.teacher is not None:
            self.teacher = teacher_network(spec.teacher, self.teacher_weights, self.device)
            without = missing_tensors(self.teacher, self.teacher_weights or {})
            start_from_teacher(self.network, self.teacher, spec.recipe, without)
            compile_blocks(self.teacher.encoder, compiled)
            fast_products(self.teacher, self.acceleration, self.device)
        compile_blocks(self.network.encoder, compiled)
        fast_products(self.network, self.acceleration, self.device)

    def run(self) -> None:
        """All stages that are not done yet."""
        if self.position.diverged:
            raise DivergedError(self.position.diverged)
        steps, ranks = planned_stages(self.spec), self.acceleration.ranks
        if self.checkpoint is not None:
            self.restore_finished(self.checkpoint, steps[: self.position.stage])
        for index in range(self.position.stage, len(steps)):
            stage = self.stage(steps[index])
            assert (stage.name, stage.steps) == (steps[index].name, steps[index].updates)
            loss = in_precision(stage.loss, self.acceleration.precision, self.device)
            loss = in_graphs(loss, self.acceleration.compiled)
            loss = with_own_dropout(ranks, loss, self.spec.seed, steps[index].stream)
            stage = stage._replace(loss=loss, ranks=ranks)
            if self.checkpoint is not None and self.position.step > 0:
                restore_stage(stage, self.checkpoint)
            else:
                torch.manual_seed(stream_seed(self.spec.seed, "dropout", steps[index].stream))
            self.checkpoint = None
            run_stage(stage, self.position, self.keeper, self.others(stage.network))
            self.finish(steps[index], stage)
            save(self.keeper, self.position, self.others(), None)

    def outcome(self) -> Outcome:
        """The finished training."""
        weights = {
            f"{name}/{key}": tensor for name, net in self.others().items() for key, tensor in net.state_dict().items()
        }
        measured = [from_json(Measurement, item) for item in self.position.measurements]
        return Outcome(
            status="complete",
            reason="",
            measurements=(*mean_scores(measured), *measured, *_train_seconds(self)),
            curves=tuple(self.position.curves),
            weights={name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()},
            replicas=self.position.replicas,
        )

    def stage(self, planned: PlannedStage) -> Stage:
        if planned.tasks:
            return self._task_stage(planned)
        assert self.network is not None
        batches = Batches(self.data.pretraining, self.spec.seed, self.spec.data.length, self.device, self.acceleration)
        transfer, pre_training = self.spec.recipe.knowledge_transfer, self.spec.recipe.pre_training
        if planned.kind == "transfer":
            assert transfer is not None and self.teacher is not None
            return transfer_stage(self.network, self.teacher, batches, transfer, self._projection(transfer))
        if planned.kind == "auxiliary":
            assert transfer is not None and self.teacher is not None
            projection = self._projection(transfer)
            return auxiliary_stage(self.network, self.teacher, batches, transfer, pre_training, projection)
        first_update = self.spec.recipe.student_updates - pre_training.steps
        return pretraining_stage(self.network, self.teacher, batches, pre_training, first_update)

    def _task_stage(self, planned: PlannedStage) -> Stage:
        recipe, seed, ranks = self.spec.recipe.fine_tuning, self.spec.seed, self.acceleration.ranks
        for task in planned.tasks:
            if task.name not in self.tasks:
                self.tasks[task.name] = self._task_network(task)
        networks = [self.tasks[task.name] for task in planned.tasks]
        encoders = [each for each in networks if isinstance(each, TaskNetwork)]
        for each in encoders:
            compile_blocks(each.encoder, self.acceleration.compiled)
        teachers = [] if recipe.distillation is None else [self._task_teacher(task) for task in planned.tasks]
        splits = {task.name: self.data.tasks[task.name]["train"] for task in planned.tasks}
        if planned.kind == "multi-task":
            shared = multi_task_network(encoders)
            return multi_task_stage(shared, planned.tasks, splits, recipe, seed, teachers, ranks=ranks)
        (network,), (task,) = networks, planned.tasks
        if planned.kind == "intermediate":
            assert recipe.distillation is not None and recipe.distillation.intermediate is not None
            transfer = recipe.distillation.intermediate
            projection = self._projection(transfer)
            assert isinstance(network, TaskNetwork) and isinstance(teachers[0], TaskNetwork)
            return intermediate_stage(network, teachers[0], task, splits[task.name], transfer, seed, projection)
        teacher = teachers[0] if teachers else None
        return fine_tuning_stage(network, task, splits[task.name], recipe, seed, teacher, ranks=ranks)

    def _task_network(self, task: TaskSpec) -> TaskNetwork | BiLSTMTask:
        """One task's network as its first stage finds it."""
        spec = self.spec
        network: TaskNetwork | BiLSTMTask
        if isinstance(spec.student, BiLSTMConfig):
            network = bilstm_network(spec.student, task, self.data.tasks[task.name]["train"], spec.seed)
        else:
            assert self.network is not None
            network = task_network(self.network, task, spec.recipe, spec.seed)
        network = network.to(self.device)
        fast_products(network, self.acceleration, self.device)
        return network

    def _projection(self, transfer: KnowledgeTransfer) -> nn.Linear | None:
        assert self.network is not None and self.teacher is not None
        return make_projection(transfer, self.network.encoder, self.teacher.encoder, self.spec.seed, self.device)

    def _task_teacher(self, task: TaskSpec) -> TaskNetwork | TaskEnsemble:
        assert self.teacher_weights is not None
        weights = (self.teacher_weights, *self.ensemble_weights)
        found = [
            teacher_task_network(teacher, own, task, self.device)
            for teacher, own in zip(self.spec.teachers, weights, strict=True)
        ]
        for each in found:
            fast_products(each, self.acceleration, self.device)
        return TaskEnsemble(found, task) if self.spec.ensemble else found[0]

    def finish(self, planned: PlannedStage, stage: Stage) -> None:
        """Score a trained stage's tasks and go to the next stage. Raises DivergedError where logits are not finite."""
        if isinstance(stage.network, MultiTaskNetwork):
            networks = [self.tasks[task.name] for task in planned.tasks]
            separate(stage.network, [each for each in networks if isinstance(each, TaskNetwork)])
        for task in planned.tasks if planned.kind in ("fine-tuning", "multi-task") else ():
            found = evaluate(self.tasks[task.name], task, self.data.tasks[task.name], self.spec.seed)
            self.position.measurements += [to_json(measurement) for measurement in found]
        self.position.stage += 1
        self.position.step = 0

    def others(self, current: nn.Module | None = None) -> dict[str, nn.Module]:
        """The networks that are no part of the current one."""
        named: dict[str, nn.Module] = {} if self.network is None else {"pretrained": self.network}
        named |= {f"tasks/{name}": network for name, network in self.tasks.items()}
        inside = set() if current is None else {id(part) for part in current.modules()}
        return {
            name: network
            for name, network in named.items()
            if not any(id(part) in inside for part in network.modules())
        }

    def restore_finished(self, checkpoint: Checkpoint, finished: Sequence[PlannedStage]) -> None:
        """Networks of the stages before the saved one; what the saved stage was training comes with the stage."""
        if self.network is not None:
            _restore(self.network, "pretrained", checkpoint)
        for task in (task for planned in finished for task in planned.tasks):
            if task.name not in self.tasks:
                network = self.tasks[task.name] = self._task_network(task)
                _restore(network, f"tasks/{task.name}", checkpoint)


def _restore(network: nn.Module, name: str, checkpoint: Checkpoint) -> None:
    if any(key.startswith(f"{name}/") for key in checkpoint.tensors):
        restore(network, name, checkpoint)


def _train_seconds(training: Training) -> list[Measurement]:
    seconds = seconds_spent(training.position, training.keeper)
    clock = "processor time of training and scoring, without start-up and without work lost to a crash"
    position = training.position
    if position.replicas > 1:
        part = "" if position.replica_stages == len(planned_stages(training.spec)) else " before the tasks"
        clock += f"; an equal share of what {position.replicas} seeds took as one computation{part}"
    conditions = {"clock": clock}
    return [Measurement(metric="train_seconds", value=seconds, unit="s", n=1, conditions=conditions)]
