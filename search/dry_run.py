"""A plan tried without its machines: every model built on the meta device, and a real step of every kind of stage.

A step reads random tokens with random weights, so that it says that the sizes fit together, what learns and how much
memory is held beside what was planned, and nothing of learning. What is reduced is the batch, the length of the
sequences and the tasks (to one), as the caller says; the memory is planned for the reduced step. Twice each, because
an optimizer makes its moments in its first.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.bilstm_task import BiLSTMTask
from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from model_zoo.networks import PreTrainingNetwork
from model_zoo.student import Student, student_cost
from search.budget import Assumptions, stages_of
from search.dry_stages import Teachers, dry_stage
from search.fingerprint import fingerprint
from search.held import Memory, head_parameters
from search.recipe import Recipe
from search.training.held_bytes import HeldBytes
from search.training.planned import PlannedStage, planned_stages
from search.training.stages import Stage
from search.trial import TrialSpec, teachers_of

STEPS = 2
FLOAT32_BYTES = 4


class Built(NamedTuple):
    """One model as it was built."""

    config: Student
    encoder_parameters: int
    """Of a BiLSTM for pairs: all but the logits' layer, which is its head."""
    head_parameters: int


class Step(NamedTuple):
    """The second of two real optimizer steps."""

    stage: str
    batch_size: int
    length: int
    loss: float
    moved: int
    """Parameters whose tensors changed."""
    seconds: float
    """Of building and both steps."""
    planned_bytes: int
    """Of this step, with everything in float32."""
    held_bytes: int
    """What its tensors held at most at once."""

    @property
    def ratio(self) -> float:
        """Held over planned."""
        return self.held_bytes / self.planned_bytes


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


def stage_kinds(specs: Sequence[TrialSpec]) -> dict[str, tuple[TrialSpec, PlannedStage]]:
    """Every kind of stage that some trials and their teachers have, by name: in the trial that holds most in it."""
    found: dict[str, tuple[TrialSpec, PlannedStage]] = {}
    held: dict[str, int] = {}
    roles = [("teacher", spec) for spec in teachers_of(specs)] + [("student", spec) for spec in specs]
    for role, spec in roles:
        for planned, budget in zip(planned_stages(spec), stages_of(spec, Assumptions()), strict=True):
            name, needed = f"{role}'s {_kind(spec, planned)}", alone(budget.memory)
            if needed > held.get(name, -1):
                found[name], held[name] = (spec, planned), needed
    return found


def _kind(spec: TrialSpec, planned: PlannedStage) -> str:
    """What the stage does, in words: stages of one kind run the same code."""
    recipe = spec.recipe
    if planned.kind in ("transfer", "auxiliary"):
        assert recipe.knowledge_transfer is not None
        projected = " through a projection" if recipe.knowledge_transfer.projection else ""
        return f"{recipe.knowledge_transfer.strategy} transfer{projected}"
    if planned.kind == "pre-training":
        return "triple loss" if recipe.pre_training.triple else planned.name
    if planned.kind == "intermediate":
        return "intermediate stage of a task"
    distillation = recipe.fine_tuning.distillation
    how = "labels" if distillation is None else f"{distillation.logits.replace('_', ' ')} logits"
    if distillation is not None and distillation.patient is not None:
        how += " and patient states"
    network = "BiLSTM's " if isinstance(spec.student, BiLSTMConfig) else ""
    return f"{network}{planned.kind} on {how}"


def alone(memory: Memory) -> int:
    """What a stage holds without the networks that wait beside it."""
    return memory.total - memory.waiting


def real_steps(specs: Sequence[TrialSpec], *, batch_size: int, length: int) -> Iterator[Step]:
    """Two steps of each kind of stage of some trials and their teachers.

    Args:
        batch_size: sequences of a step, in place of the recipe's.
        length: tokens of a sequence, at most the data's.

    Raises:
        ValueError: an optimizer has another number of parameters than planned.
    """
    teachers = Teachers()
    for name, (spec, planned) in stage_kinds(specs).items():
        started = time.perf_counter()
        small = reduced(spec, planned, batch_size, length)
        of_it = [one.kind for one in planned_stages(small)].index(planned.kind)
        stage, answering = dry_stage(small, planned_stages(small)[of_it], teachers)
        memory = stages_of(small, Assumptions(micro_batch=batch_size, activation_bytes=FLOAT32_BYTES))[of_it].memory
        _check_optimised(name, stage, memory)
        loss, moved, held = _two_steps(stage, answering)
        seconds = time.perf_counter() - started
        yield Step(name, batch_size, small.data.length, loss, moved, seconds, alone(memory), held)


def reduced(spec: TrialSpec, planned: PlannedStage, batch_size: int, length: int) -> TrialSpec:
    """The trial with short sequences, small batches, one task, and few updates, the last of which are the last
    phase's."""
    data = replace(spec.data, length=min(length, spec.data.length), tasks=planned.tasks[:1] or spec.data.tasks[:1])
    recipe = _reduced_recipe(spec.recipe, batch_size, getattr(spec.student, "num_layers", 1))
    teacher = replace(spec.teacher, data=data) if isinstance(spec.teacher, TrialSpec) else spec.teacher
    others = tuple(replace(other, data=data) for other in spec.ensemble)
    return replace(spec, data=data, recipe=recipe, teacher=teacher, ensemble=others)


def _reduced_recipe(recipe: Recipe, batch_size: int, num_layers: int) -> Recipe:
    transfer, pre_training, tuning = recipe.knowledge_transfer, recipe.pre_training, recipe.fine_tuning
    distillation = tuning.distillation
    if distillation is not None and distillation.intermediate is not None:
        first = replace(distillation.intermediate, steps=STEPS, batch_size=batch_size)
        distillation = replace(distillation, intermediate=first)
    if transfer is not None:
        transfer = replace(transfer, steps=STEPS * num_layers, batch_size=batch_size)
    return replace(
        recipe,
        knowledge_transfer=transfer,
        pre_training=replace(pre_training, steps=min(STEPS, pre_training.steps), batch_size=batch_size),
        fine_tuning=replace(tuning, steps=STEPS, batch_size=batch_size, distillation=distillation),
    )


def _check_optimised(name: str, stage: Stage, memory: Memory) -> None:
    count = sum(parameter.numel() for group in stage.optimizer.param_groups for parameter in group["params"])
    planned = memory.moments // (2 * FLOAT32_BYTES)
    if count != planned:
        raise ValueError(f"the optimizer of the {name} must have the {planned:,} parameters of the plan, got {count:,}")


def _two_steps(stage: Stage, answering: Sequence[nn.Module]) -> tuple[float, int, int]:
    """Loss, moved parameters and bytes held. At the peak rate: a schedule's first would move nothing."""
    optimised = {id(parameter) for group in stage.optimizer.param_groups for parameter in group["params"]}
    for parameter in stage.network.parameters():
        parameter.requires_grad_(id(parameter) in optimised)
    stage.network.train(stage.dropout)
    weights = [*stage.network.parameters(), *(one for network in answering for one in network.parameters())]
    before = [_sum(parameter) for parameter in stage.network.parameters()]
    with HeldBytes(weights) as held:
        for number in range(stage.steps - STEPS, stage.steps):
            stage.optimizer.zero_grad(set_to_none=True)
            loss = stage.loss(number)
            value = loss.item()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(stage.network.parameters(), stage.clip_norm)
            stage.optimizer.step()
            del loss
    after = [_sum(parameter) for parameter in stage.network.parameters()]
    counts = [parameter.numel() for parameter in stage.network.parameters()]
    moved = sum(count for count, one, other in zip(counts, before, after, strict=True) if one != other)
    fixed = sum(tensor.numel() * tensor.element_size() for tensor in weights)
    stage.optimizer.zero_grad(set_to_none=True)
    return value, moved, fixed + held.peak


def _sum(parameter: Tensor) -> float:
    return float(parameter.detach().abs().sum())
