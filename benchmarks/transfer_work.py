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
from search.training.stages import Batches, Stage
from search.training.targets import targets
from search.training.teacher_outputs import Wanted
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
    """`usual`, `engine`, or `shared`: the engine with teacher outputs already kept by another trial of the seed."""
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
    with tempfile.TemporaryDirectory() as kept:
        steps = [_stepper(work, spec, seed, Path(kept)) for seed in work.seeds]
        channel.send([step(0) for step in steps])
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


def _stepper(work: Work, spec: TrialSpec, seed: int, kept: Path) -> Callable[[int], float]:
    """The step function of one seed; step n of a progressive transfer is in phase n modulo the number of blocks."""
    device = torch.device(work.device)
    torch.manual_seed(seed)
    models = [usual_model(config, device) for config in (spec.student, spec.teacher.student)]  # type: ignore[union-attr]
    models[1].requires_grad_(False)
    data = open_data(work.folder, spec.data).pretraining
    batches = Batches(data, seed, spec.data.length, device)
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
    return network.eval().to(device)


def _engine(
    work: Work, spec: TrialSpec, student: PreTrainingNetwork, teacher: PreTrainingNetwork, batches: Batches, kept: Path
) -> Callable[[int], float]:
    """The engine's own loop around the engine's own losses."""
    transfer = spec.recipe.knowledge_transfer
    assert transfer is not None
    on = Acceleration(lookahead=work.lookahead, outputs=kept if work.way == "shared" else None)
    if work.device == "cuda":
        on = replace(on, precision="bfloat16")
    batches = batches._replace(acceleration=on)
    if work.kind == "distillation":
        recipe = replace(spec.recipe.pre_training, steps=STEPS)
        stage = pretraining_stage(student, teacher, batches, recipe, 0)
        stage = _even(stage, recipe.optimizer.learning_rate)
    else:
        stage = _even(transfer_stage(student, teacher, batches, transfer), transfer.optimizer.learning_rate)
        stage = stage._replace(loss=_blocks_loss(work.kind, student, teacher, batches, transfer.batch_size))
        for parameter in student.parameters():
            parameter.requires_grad_(False)
        student.encoder.blocks.requires_grad_(True)
    stage = stage._replace(loss=in_precision(stage.loss, on.precision, batches.device))
    if work.way == "shared":  # what the first trial of the seed leaves behind
        for number in range(SHARED_STEPS):
            with torch.no_grad():
                stage.loss(number)
        return lambda number: _step(stage, number % SHARED_STEPS)
    return lambda number: _step(stage, number)


def _even(stage: Stage, rate: float) -> Stage:
    """The stage with one rate for all blocks and steps."""
    count = len(stage.optimizer.param_groups)
    return stage._replace(rates=lambda step: [rate] * count)


def _blocks_loss(
    kind: str, student: PreTrainingNetwork, teacher: PreTrainingNetwork, batches: Batches, batch_size: int
) -> Callable[[int], Tensor]:
    layers = len(student.encoder.blocks)

    def wanted(update: int) -> Wanted:
        blocks = (update % layers,) if kind == "progressive" else tuple(range(layers))
        return Wanted(feature_maps=blocks, attention_scores=blocks)

    target = targets(teacher, batches, batch_size, range(STEPS), wanted)

    def loss(update: int) -> Tensor:
        batch, taught = target(update)
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

    return loss
