"""One process of the transfer-step benchmark: it trains some seeds in one way, as many steps as its parent asks for.

Work of one step: the forward of teacher and student as far as the losses need, the losses, the backward, clipping and
the optimizer, and drawing the batch. `progressive` is one step in each phase in turn (the loss of one block), `all
blocks` compares every block at once (the joint strategy), `distillation` is pre-training distillation.
"""

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.usual_transfer import usual_distillation, usual_model, usual_transfer
from model_zoo.cost import cost
from model_zoo.huggingface import from_huggingface
from model_zoo.networks import PreTrainingNetwork
from search.allocator import keep_freed_memory
from search.data.prepare import open_data, prepare
from search.distillation.losses import attention_transfer_loss, feature_map_loss_normalised
from search.latency.measure import peak_memory_bytes
from search.study import Scale
from search.training.acceleration import Acceleration
from search.training.loop import _step
from search.training.precision import in_precision
from search.training.pretraining import pretraining_stage
from search.training.products import fast_products, has_onednn
from search.training.replica_stage import ReplicaStage, batched_attention
from search.training.stages import Batch, Batches, Objective, Stage
from search.training.targets import objective_loss
from search.training.teacher_outputs import Taught, Wanted
from search.training.transfer import transfer_stage
from search.trial import TrialSpec
from studies.scales import sources, student_trial

KINDS = ("progressive", "all blocks", "distillation")
STEPS = 1_000_000
"""Of a stage: more than are timed."""
SHARED_STEPS = 48
"""Updates whose teacher outputs are kept before the timing."""


class Work(NamedTuple):
    """What a process is to do."""

    way: str
    """`usual`, `engine`, `shared` (the engine with teacher outputs already kept by another trial of the seed), or
    `replicas` (the engine's step of all seeds as one computation)."""
    kind: str
    scale: Scale
    device: str
    seeds: tuple[int, ...]
    threads: int | None
    """None leaves torch's default."""
    lookahead: bool
    folder: Path
    """Of prepared data."""


def benchmark_trial(scale: Scale, folder: Path) -> TrialSpec:
    """The scale's own trial, its encoders as transformers can build them.

    transformers cannot run a block whose queries read the wide map unless it is as wide inside, so that both encoders
    read queries and keys from a second bottleneck here, as the released student does (`shared_bottleneck`).
    """
    spec = student_trial(scale, prepare(sources(scale), folder), 0, average_heads=False)
    assert spec.teacher is not None
    fields: dict[str, Any] = {"attention_input": "shared_bottleneck", "hidden_dropout": 0.0, "attention_dropout": 0.0}
    teacher = replace(spec.teacher.student, **fields, norm_epsilon=1e-12, norm_epsilon_places="transformers")
    return replace(spec, student=replace(spec.student, **fields), teacher=replace(spec.teacher, student=teacher))


def flops(spec: TrialSpec, kind: str, batch_size: int, *, teacher: bool = True) -> float:
    """Useful multiply-adds x 2 of one step: student forward and twice that for its backward, and the teacher's forward
    where it runs; blocks that no loss needs and vocabulary logits do not count."""
    assert spec.teacher is not None
    layers = spec.student.num_layers

    def blocks(number: int) -> float:
        parts = [
            cost(replace(c, num_layers=number), spec.data.length).flops for c in (spec.student, spec.teacher.student)
        ]
        return 3.0 * parts[0] + (parts[1] if teacher else 0.0)

    one = sum(blocks(n + 1) for n in range(layers)) / layers if kind == "progressive" else blocks(layers)
    return one * batch_size


def serve(work: Work, channel: Connection) -> None:
    """Answer each number n with (done, peak memory), after n steps of every seed; the first answer holds losses."""
    if work.threads is not None:
        torch.set_num_threads(work.threads)
    if work.way != "usual" and work.device == "cpu":
        keep_freed_memory()
    spec = benchmark_trial(work.scale, work.folder)
    together = work.way == "replicas"
    with tempfile.TemporaryDirectory() as kept, batched_attention() if together else contextlib.nullcontext():
        steps = [_replicas(work, spec)] if together else [_stepper(work, spec, seed, Path(kept)) for seed in work.seeds]
        first = [step(0) for step in steps]
        channel.send(first[0] if together else first)
        with contextlib.suppress(EOFError):
            begin = 1
            while True:
                count = channel.recv()
                for step in steps:
                    for number in range(begin, begin + count):
                        step(number)
                begin += count
                if work.device == "cuda":
                    torch.cuda.synchronize()
                channel.send(torch.cuda.max_memory_allocated() if work.device == "cuda" else peak_memory_bytes())


def _replicas(work: Work, spec: TrialSpec) -> Callable[[int], list[float]]:
    """The step function of all seeds as one computation; their losses."""
    made = []
    for seed in work.seeds:
        models, batches = _begin(work, spec, seed)
        student, teacher = (
            _ours(model, config, batches.device) for model, config in zip(models, _configs(spec), strict=True)
        )
        made.append(
            (_stage(work, spec, student, teacher, batches), teacher, batches._replace(device=torch.device("cpu")))
        )
    stages, teachers, all_batches = zip(*made, strict=True)
    precision = "bfloat16" if work.device == "cuda" else "float32"
    stage = ReplicaStage(stages, teachers, all_batches, Acceleration(lookahead=work.lookahead, precision=precision))
    return lambda number: stage.step(number)[0]


def _begin(work: Work, spec: TrialSpec, seed: int) -> tuple[list[Any], Batches]:
    """Student and teacher as transformers makes them, and the batches of one seed."""
    device = torch.device(work.device)
    torch.manual_seed(seed)
    models = [usual_model(config, device) for config in _configs(spec)]
    models[1].requires_grad_(False)
    data = open_data(work.folder, spec.data).pretraining
    return models, Batches(data, seed, spec.data.length, device)


def _stepper(work: Work, spec: TrialSpec, seed: int, kept: Path) -> Callable[[int], float]:
    """The step function of one seed; step n of a progressive transfer is in phase n modulo the number of blocks."""
    models, batches = _begin(work, spec, seed)
    device = batches.device
    transfer = spec.recipe.knowledge_transfer
    assert transfer is not None
    layers = spec.student.num_layers
    if work.way == "usual":
        chosen = {"progressive": lambda n: [n % layers], "all blocks": lambda n: range(layers)}
        draw = lambda number: batches.get(number, transfer.batch_size)  # noqa: E731
        if work.kind == "distillation":
            return usual_distillation(models[0], models[1], draw, spec.recipe)
        return usual_transfer(models[0], models[1], draw, spec.recipe, chosen[work.kind])
    student, teacher = (_ours(model, config, device) for model, config in zip(models, _configs(spec), strict=True))
    return _engine(work, spec, student, teacher, batches, kept)


def _configs(spec: TrialSpec) -> Sequence[Any]:
    assert spec.teacher is not None
    return spec.student, spec.teacher.student


def _ours(model: Any, config: Any, device: torch.device) -> PreTrainingNetwork:
    network = PreTrainingNetwork(config)
    network.load_state_dict(from_huggingface(model)[1])
    learns = any(parameter.requires_grad for parameter in model.parameters())
    return network.eval().to(device).requires_grad_(learns)


def _engine(
    work: Work, spec: TrialSpec, student: PreTrainingNetwork, teacher: PreTrainingNetwork, batches: Batches, kept: Path
) -> Callable[[int], float]:
    """The engine's own loop around the engine's own losses."""
    on = Acceleration(lookahead=work.lookahead, outputs=kept if work.way == "shared" else None)
    if work.device == "cuda":
        on = replace(on, precision="bfloat16")
    elif has_onednn():
        on = replace(on, products="onednn")
    for network in (student, teacher):
        fast_products(network, on, batches.device)
    stage = _stage(work, spec, student, teacher, batches._replace(acceleration=on))
    stage = stage._replace(loss=in_precision(stage.loss, on.precision, batches.device))
    if work.way == "shared":  # what the first trial of the seed leaves behind
        for number in range(SHARED_STEPS):
            with torch.no_grad():
                stage.loss(number)
        return lambda number: _step(stage, number % SHARED_STEPS)
    return lambda number: _step(stage, number)


def _stage(
    work: Work, spec: TrialSpec, student: PreTrainingNetwork, teacher: PreTrainingNetwork, batches: Batches
) -> Stage:
    """The engine's stage, with one rate for all blocks and steps."""
    if work.kind == "distillation":
        recipe = replace(spec.recipe.pre_training, steps=STEPS)
        return _even(pretraining_stage(student, teacher, batches, recipe, 0), recipe.optimizer.learning_rate)
    transfer = spec.recipe.knowledge_transfer
    assert transfer is not None
    stage = _even(transfer_stage(student, teacher, batches, transfer), transfer.optimizer.learning_rate)
    for parameter in student.parameters():
        parameter.requires_grad_(False)
    student.encoder.blocks.requires_grad_(True)
    objective = _blocks_objective(work.kind, student, transfer.batch_size)
    return stage._replace(loss=objective_loss(objective, teacher, batches), objective=objective)


def _even(stage: Stage, rate: float) -> Stage:
    """The stage with one rate for all blocks and steps."""
    count = len(stage.optimizer.param_groups)
    return stage._replace(rates=lambda step: [rate] * count)


def _blocks_objective(kind: str, student: PreTrainingNetwork, batch_size: int) -> Objective:
    layers = len(student.encoder.blocks)

    def wanted(update: int) -> Wanted:
        blocks = (update % layers,) if kind == "progressive" else tuple(range(layers))
        return Wanted(feature_maps=blocks, attention_scores=blocks)

    def value(update: int, batch: Batch, taught: Taught) -> Tensor:
        blocks = wanted(update).feature_maps
        output = student.encoder(
            batch.token_ids, batch.mask, batch.token_types, scores=True, num_blocks=max(blocks) + 1
        )
        total = torch.zeros((), device=batch.mask.device)
        for block in blocks:
            maps = feature_map_loss_normalised(output.feature_maps[block], taught.feature_maps[block], batch.mask)
            scores = output.attention_scores[block], taught.attention_scores[block]
            total = total + maps + attention_transfer_loss(*scores, batch.mask, average_heads=False)
        return total / layers

    return Objective(range(STEPS), batch_size, value, wanted)
