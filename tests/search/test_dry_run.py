"""Real steps of every kind of stage against the plan: what tensors hold, what products cost, what learns."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from search.budget import Assumptions, stages_of
from search.dry_run import alone, real_steps, reduced, stage_kinds
from search.dry_stages import Teachers, dry_stage
from search.passes import passes_of, student_flops, teacher_flops
from search.training.held_bytes import HeldBytes
from search.training.planned import planned_stages
from search.trial import TrialSpec

BATCH_SIZE, LENGTH = 8, 64


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def recipes() -> ModuleType:
    path = Path(__file__).parent / "training" / "test_every_recipe.py"
    place = importlib.util.spec_from_file_location("every_recipe", path)
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture
def trials(make_spec: Any, recipes: ModuleType) -> dict[str, TrialSpec]:
    """Every way of learning, wide enough that maps outweigh what is not counted; without dropout, whose attention is
    not fused on a CPU."""
    spec: TrialSpec = make_spec(with_teacher=True)
    assert isinstance(spec.teacher, TrialSpec)
    data = replace(spec.data, vocab_size=500, length=LENGTH)
    teacher = replace(
        spec.teacher.encoder,
        hidden_size=64,
        bottleneck_size=128,
        feed_forward_size=256,
        embedding_size=12,
        vocab_size=500,
        max_positions=LENGTH,
        hidden_dropout=0.0,
        attention_dropout=0.0,
    )
    student = replace(
        teacher, bottleneck_size=32, num_feed_forward=2, feed_forward_size=128, norm="no_norm", activation="relu"
    )
    taught_by = replace(spec.teacher, student=teacher, data=data)
    transfer = replace(spec.recipe.knowledge_transfer, average_heads=False)  # type: ignore[type-var]
    recipe = replace(spec.recipe, knowledge_transfer=transfer)
    whole = replace(spec, student=student, data=data, teacher=taught_by, recipe=recipe)
    found: dict[str, TrialSpec] = recipes.variants(whole)
    found["averaged heads"] = recipes.with_transfer(whole, average_heads=True)
    found["LayerNorm and gelu"] = replace(whole, student=replace(student, norm="layer_norm", activation="gelu"))
    for attention_input in ("bottleneck", "shared_bottleneck"):
        found[attention_input] = replace(whole, student=replace(student, attention_input=attention_input))
    return found


def test_what_tensors_hold_is_what_was_planned(trials: dict[str, TrialSpec]) -> None:
    for name, spec in trials.items():
        for step in real_steps([spec], batch_size=BATCH_SIZE, length=LENGTH):
            assert 0.85 < step.ratio < 1.15, (name, step)
            assert step.moved > 0 and abs(step.loss) < float("inf"), (name, step)


def test_what_products_cost_is_what_was_planned(trials: dict[str, TrialSpec]) -> None:
    """Of the last phase where there are phases. The plan has a gradient handed down by every layer: also by the lowest
    one that learns, to tables or frozen embeddings, which products in training do not."""
    teachers, seen = Teachers(), set()
    for name, spec in trials.items():
        for kind, (whole, planned) in stage_kinds([spec]).items():
            small = reduced(whole, planned, BATCH_SIZE, LENGTH)
            of_it = next(one for one in planned_stages(small) if one.kind == planned.kind)
            one = passes_of(small, of_it)[-1]
            said = BATCH_SIZE * (student_flops(small, one) + teacher_flops(small, one))
            if (kind, said) in seen:
                continue
            seen.add((kind, said))
            stage, _ = dry_stage(small, of_it, teachers)
            learns = {id(parameter) for group in stage.optimizer.param_groups for parameter in group["params"]}
            for parameter in stage.network.parameters():
                parameter.requires_grad_(id(parameter) in learns)
            with FlopCounterMode(display=False) as counted, sdpa_kernel(SDPBackend.MATH):
                stage.loss(stage.steps - 1).backward()
            assert 0.9 < counted.get_total_flops() / said <= 1.0, (name, kind, counted.get_total_flops(), said)


def test_every_kind_is_stepped_in_the_trial_that_holds_most(trials: dict[str, TrialSpec]) -> None:
    specs = [trials["PKT, paper form"], trials["LayerNorm and gelu"], trials["JKT"], trials["TinyBERT"]]
    found = stage_kinds(specs)
    assert list(found) == [
        "teacher's pre-training",
        "teacher's fine-tuning on labels",
        "student's progressive transfer",
        "student's distillation",
        "student's fine-tuning on labels",
        "student's joint transfer",
        "student's joint transfer through a projection",
        "student's intermediate stage of a task",
        "student's fine-tuning on prediction logits",
    ]
    assert found["student's progressive transfer"][0] == trials["LayerNorm and gelu"]
    held = [alone(stages_of(spec, Assumptions())[0].memory) for spec in specs[:2]]
    assert held[0] < held[1]


def test_held_bytes_fall_when_tensors_go(recipes: ModuleType) -> None:
    known = torch.zeros(10)
    with HeldBytes([known]) as held:
        one = known + 1.0
        view = one[2:]
        assert (held.now, held.peak) == (40, 40)
        del one, view
        known.add_(1.0)
        assert (held.now, held.peak) == (0, 40)
