"""The stages of a training with random weights and tokens in the place of data and trained teachers: what a dry run
steps. Made by the functions that make them in training."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.bilstm_task import BiLSTMTask
from model_zoo.encoder import Encoder
from model_zoo.networks import PreTrainingNetwork, TaskNetwork
from search.data.pretraining import PretrainingData, SpecialIds, pretraining_data
from search.data.spec import TaskSpec
from search.data.tasks import TaskSplit
from search.fingerprint import fingerprint
from search.given_teacher import GivenTeacher
from search.recipe import KnowledgeTransfer
from search.training.fine_tuning import fine_tuning_stage
from search.training.planned import PlannedStage
from search.training.pretraining import auxiliary_stage, pretraining_stage
from search.training.stages import Batches, Stage
from search.training.students import make_projection, multi_task_network, num_outputs
from search.training.task_stages import intermediate_stage, multi_task_stage
from search.training.teacher_network import TaskEnsemble
from search.training.transfer import transfer_stage
from search.trial import TrialSpec

SENTENCES, DOCUMENTS = 8, 8
ROWS = 4
STANDARD_DEVIATION = 0.02
CPU = torch.device("cpu")

Network = TypeVar("Network", bound=nn.Module)


def made(build: Callable[[], Network]) -> Network:
    """A network whose matrices are random and whose norms are as new, many times faster than `build` starts one."""
    with torch.device("meta"):
        network = build()
    if next(network.buffers(), None) is not None:  # code of one's own: what they hold is not ours to say
        return build()
    network.to_empty(device=CPU)
    bound = STANDARD_DEVIATION * 3**0.5
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim >= 2:
                parameter.uniform_(-bound, bound)
            else:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
    return network


class Teachers:
    """Teachers as networks, one encoder per config, however many tasks it answers."""

    def __init__(self) -> None:
        self._networks: dict[str, PreTrainingNetwork] = {}

    def network(self, teacher: TrialSpec | GivenTeacher) -> PreTrainingNetwork:
        """With its pre-training heads, frozen."""
        pooler = teacher.pooler if isinstance(teacher, GivenTeacher) else teacher.recipe.pooler
        key = fingerprint({"config": teacher.encoder, "pooler": pooler})
        if key not in self._networks:
            network = made(lambda: PreTrainingNetwork(teacher.encoder, pooler=pooler))
            self._networks[key] = network.eval().requires_grad_(False)
        return self._networks[key]

    def of_task(self, teacher: TrialSpec | GivenTeacher, task: TaskSpec) -> TaskNetwork:
        """With a task's head, frozen."""
        encoder = self.network(teacher).encoder
        pooler = teacher.pooler if isinstance(teacher, GivenTeacher) else teacher.recipe.pooler
        return TaskNetwork(encoder, num_outputs(task), pooler=pooler).eval().requires_grad_(False)


def dry_stage(spec: TrialSpec, planned: PlannedStage, teachers: Teachers) -> tuple[Stage, list[nn.Module]]:
    """A stage, and the networks that answer in it."""
    torch.manual_seed(0)
    return _task_stage(spec, planned, teachers) if planned.tasks else _corpus_stage(spec, planned, teachers)


def _corpus_stage(spec: TrialSpec, planned: PlannedStage, teachers: Teachers) -> tuple[Stage, list[nn.Module]]:
    batches = Batches(random_text(spec.data.vocab_size, spec.data.length), 0, spec.data.length, CPU)
    student = made(lambda: PreTrainingNetwork(spec.encoder, pooler=spec.recipe.pooler))
    transfer, pre_training = spec.recipe.knowledge_transfer, spec.recipe.pre_training
    if planned.kind == "pre-training":
        teacher = teachers.network(spec.teacher) if spec.teacher is not None and pre_training.distils else None
        stage = pretraining_stage(student, teacher, batches, pre_training, 0)
        return stage, [] if teacher is None else [teacher]
    assert transfer is not None and spec.teacher is not None
    teacher = teachers.network(spec.teacher)
    projection = make_projection(transfer, student.encoder, teacher.encoder, 0, CPU)
    if planned.kind == "transfer":
        return transfer_stage(student, teacher, batches, transfer, projection), [teacher]
    return auxiliary_stage(student, teacher, batches, transfer, pre_training, projection), [teacher]


def _task_stage(spec: TrialSpec, planned: PlannedStage, teachers: Teachers) -> tuple[Stage, list[nn.Module]]:
    """Of its first task alone."""
    task, recipe, split = planned.tasks[0], spec.recipe.fine_tuning, random_rows(spec, planned.tasks[0])
    asked = spec.teachers if recipe.distillation is not None else ()
    found = [teachers.of_task(teacher, task) for teacher in asked]
    answering: list[nn.Module] = [*found]
    if isinstance(spec.student, BiLSTMConfig):
        config = spec.student
        bilstm = made(lambda: BiLSTMTask(config, num_outputs(task), pair=True))
        return fine_tuning_stage(bilstm, task, split, recipe, 0, _one(found, task)), answering
    network = made(lambda: TaskNetwork(Encoder(spec.encoder), num_outputs(task), pooler=spec.recipe.pooler))
    if planned.kind == "intermediate":
        assert recipe.distillation is not None and recipe.distillation.intermediate is not None
        transfer: KnowledgeTransfer = recipe.distillation.intermediate
        projection = make_projection(transfer, network.encoder, found[0].encoder, 0, CPU)
        return intermediate_stage(network, found[0], task, split, transfer, 0, projection), answering
    one = _one(found, task)
    if planned.kind == "multi-task":
        shared = multi_task_network([network])
        stage = multi_task_stage(shared, [task], {task.name: split}, recipe, 0, [] if one is None else [one])
        return stage, answering
    return fine_tuning_stage(network, task, split, recipe, 0, one), answering


def _one(found: list[TaskNetwork], task: TaskSpec) -> TaskNetwork | TaskEnsemble | None:
    if not found:
        return None
    return found[0] if len(found) == 1 else TaskEnsemble(found, task)


def random_text(vocab_size: int, length: int) -> PretrainingData:
    """Documents of random word pieces, long enough that every sequence is full."""
    generator = np.random.default_rng(0)
    special = SpecialIds(pad=0, unknown=1, start=2, separator=3, mask=4)
    total = DOCUMENTS * SENTENCES * length
    tokens = generator.integers(5, vocab_size, total).astype(np.int32)
    sentences = np.full(DOCUMENTS * SENTENCES, length, dtype=np.int64)
    return pretraining_data(tokens, sentences, np.full(DOCUMENTS, SENTENCES, dtype=np.int64), special, vocab_size)


def random_rows(spec: TrialSpec, task: TaskSpec) -> TaskSplit:
    """Rows of a task, all full, their second half being a second text."""
    generator, length = np.random.default_rng(0), spec.data.length
    shape = (max(ROWS, spec.recipe.fine_tuning.batch_size), length)
    types = np.broadcast_to(np.arange(length) >= length // 2, shape).astype(np.int64)
    return TaskSplit(
        token_ids=generator.integers(5, spec.data.vocab_size, shape),
        token_types=types,
        mask=np.ones(shape, dtype=np.bool_),
        labels=_random_labels(task, generator, shape),
    )


def _random_labels(
    task: TaskSpec, generator: np.random.Generator, shape: tuple[int, int]
) -> npt.NDArray[np.int64] | npt.NDArray[np.float32]:
    rows, length = shape
    if task.kind == "regression":
        return generator.normal(size=rows).astype(np.float32)
    if task.kind == "span":
        return generator.integers(0, length, (rows, 2))
    return generator.integers(0, task.num_labels, rows)
