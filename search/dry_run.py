"""A plan tried without its machines: every model built on the meta device, and one real step of each stage.

The step reads random tokens, so that it says that the sizes fit together and how much memory they take, and nothing of
learning. What is reduced is the batch and the length of the sequences, as the caller says.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.bilstm_task import BiLSTMTask
from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from model_zoo.networks import PreTrainingNetwork, copy_from_teacher
from model_zoo.student import Student, student_cost
from search.budget import head_parameters
from search.data.pretraining import PretrainingData, SpecialIds, pretraining_data
from search.fingerprint import fingerprint
from search.latency.measure import peak_memory_bytes
from search.training.pretraining import pretraining_stage
from search.training.stages import Batches, Stage
from search.training.transfer import transfer_stage
from search.trial import TrialSpec

SENTENCES, DOCUMENTS = 8, 8


class Built(NamedTuple):
    """One model as it was built."""

    config: Student
    encoder_parameters: int
    """Of a BiLSTM for pairs: all but the logits' layer, which is its head."""
    head_parameters: int


class Step(NamedTuple):
    """One real optimizer step."""

    stage: str
    batch_size: int
    length: int
    loss: float
    moved: int
    """Parameters whose tensors changed."""
    seconds: float
    peak_bytes: int | None
    """The most memory that this process has held so far."""


def build_all(specs: Sequence[TrialSpec]) -> list[Built]:
    """Every distinct model of some trials and their teachers, without memory for its weights.

    Raises:
        ValueError: a built model has another number of parameters than `cost` says.
    """
    pairs = [(spec.student, spec.recipe.pooler) for spec in specs]
    pairs += [
        (one.student, one.recipe.pooler) for one in (spec.teacher for spec in specs) if isinstance(one, TrialSpec)
    ]
    distinct = {(fingerprint(config), pooler): (config, pooler) for config, pooler in pairs}
    return [_build(config, pooler) for config, pooler in distinct.values()]


def _build(config: Student, pooler: bool) -> Built:
    return _build_encoder(config, pooler) if isinstance(config, EncoderConfig) else _build_bilstm(config)


def _build_bilstm(config: BiLSTMConfig) -> Built:
    with torch.device("meta"):
        network = BiLSTMTask(config, config.num_outputs, pair=True).network
    heads = sum(parameter.numel() for parameter in network.output.parameters())
    rest = sum(parameter.numel() for parameter in network.parameters()) - heads
    _check_count("BiLSTM", config, rest, student_cost(config).parameters)
    return Built(config, rest, heads)


def _build_encoder(config: EncoderConfig, pooler: bool) -> Built:
    with torch.device("meta"):
        network = PreTrainingNetwork(config, pooler=pooler)
    encoder = sum(parameter.numel() for parameter in network.encoder.parameters())
    heads = sum(parameter.numel() for parameter in network.parameters()) - encoder
    _check_count("encoder", config, encoder, cost(config).parameters)
    _check_count("heads", config, heads, head_parameters(config, pooler=pooler))
    return Built(config, encoder, heads)


def _check_count(what: str, config: Student, built: int, said: int) -> None:
    if built != said:
        raise ValueError(f"the {what} of {config} must have the {said:,} parameters of the plan, built were {built:,}")


def real_steps(spec: TrialSpec, *, batch_size: int, length: int) -> Iterator[Step]:
    """One step of each pre-training stage: of the teacher, then of the student, taught by what the teacher has become.

    Args:
        batch_size: sequences of a step, in place of the recipe's.
        length: tokens of a sequence, at most the data's.

    Raises:
        ValueError: the student is a BiLSTM, which has no such stage.
    """
    encoder = spec.encoder
    torch.manual_seed(0)
    batches = Batches(_random_text(spec.data.vocab_size, length), 0, length, torch.device("cpu"))
    taught_by = spec.teacher if isinstance(spec.teacher, TrialSpec) else None
    teacher = None
    if taught_by is not None:
        teacher = PreTrainingNetwork(taught_by.encoder, pooler=taught_by.recipe.pooler)
        yield _pretrain("teacher's pre-training", teacher, None, batches, taught_by, batch_size)
        teacher.eval().requires_grad_(False)
        teacher.zero_grad(set_to_none=True)
    student = PreTrainingNetwork(encoder, pooler=spec.recipe.pooler)
    transfer = spec.recipe.knowledge_transfer
    if teacher is not None and transfer is not None:
        copy_from_teacher(student, teacher)
        phases = replace(transfer, steps=encoder.num_layers, batch_size=batch_size)
        stage = transfer_stage(student, teacher, batches, phases)
        yield _step("knowledge transfer, last phase", stage, phases.steps - 1, batches, batch_size)
        del stage
    yield _pretrain("student's pre-training", student, teacher, batches, spec, batch_size)


def _pretrain(
    name: str,
    network: PreTrainingNetwork,
    teacher: PreTrainingNetwork | None,
    batches: Batches,
    spec: TrialSpec,
    batch_size: int,
) -> Step:
    recipe = replace(spec.recipe.pre_training, steps=1, batch_size=batch_size)
    return _step(name, pretraining_stage(network, teacher, batches, recipe, 0), 0, batches, batch_size)


def _step(name: str, stage: Stage, number: int, batches: Batches, batch_size: int) -> Step:
    """One step at the peak rate: the schedule's first would move nothing."""
    started = time.perf_counter()
    groups = stage.optimizer.param_groups
    optimised = {id(parameter) for group in groups for parameter in group["params"]}
    for parameter in stage.network.parameters():
        parameter.requires_grad_(id(parameter) in optimised)
    stage.network.train(stage.dropout)
    loss = stage.loss(number)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(stage.network.parameters(), stage.clip_norm)
    before = {parameter: float(parameter.detach().abs().sum()) for parameter in stage.network.parameters()}
    stage.optimizer.step()
    moved = sum(one.numel() for one, total in before.items() if float(one.detach().abs().sum()) != total)
    stage.network.zero_grad(set_to_none=True)
    seconds = time.perf_counter() - started
    return Step(name, batch_size, batches.length, float(loss.detach()), moved, seconds, peak_memory_bytes())


def _random_text(vocab_size: int, length: int) -> PretrainingData:
    """Documents of random word pieces, long enough that every sequence is full."""
    generator = np.random.default_rng(0)
    special = SpecialIds(pad=0, unknown=1, start=2, separator=3, mask=4)
    total = DOCUMENTS * SENTENCES * length
    tokens = generator.integers(5, vocab_size, total).astype(np.int32)
    sentences = np.full(DOCUMENTS * SENTENCES, length, dtype=np.int64)
    return pretraining_data(tokens, sentences, np.full(DOCUMENTS, SENTENCES, dtype=np.int64), special, vocab_size)
