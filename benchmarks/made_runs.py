"""Run folders of any size for benchmarks: specifications of the shipped studies, numbers drawn; nothing is trained."""

import itertools
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model_zoo.config import EncoderConfig
from model_zoo.student import student_cost
from search.claim import Claim, beats
from search.data.spec import DataSpec
from search.fingerprint import fingerprint
from search.run_folder import study_document
from search.study import Ablation, Arm, Search, at_seed
from search.trial import TrialSpec
from search.values import to_json
from studies import student_search, training_objectives
from studies.data_specs import known_data_spec

TASKS_TIMES = 2
"""The built-in five tasks so many times: ten scores."""
STAGES = ("transfer-1", "transfer-2", "transfer-3", "distillation")
POINTS_OF_A_STAGE = 20
ROUNDS = 20
SESSIONS = 8
GENERATION = 8
DIVERGED_EVERY = 50
KNOBS: dict[str, tuple[int, ...]] = {
    "bottleneck_size": (8, 16, 24, 32, 40, 48, 56, 64),
    "num_heads": (1, 2, 4, 8),
    "num_feed_forward": (1, 2, 3, 4, 5, 6, 7, 8),
    "widening": (1, 2, 3, 4, 5, 6, 7, 8),
}
"""2,048 configurations; the feed-forward width is the bottleneck times the widening."""


class Made(NamedTuple):
    """One trial to be written."""

    spec: TrialSpec
    role: str
    number: int
    params: dict[str, Any]
    arm: str | None


def make_search(folder: Path, num_trials: int) -> None:
    """A search of so many trials, its front trained again on two seeds; one in 50 diverged.

    Args:
        num_trials: 8 to 2,000, the confirmations included.
    """
    study = student_search.declare("cpu", _data(student_search.STUDY.sources("cpu")))
    if not 8 <= num_trials <= 2000:
        raise ValueError(f"a made search has 8 to 2000 trials, got {num_trials}")
    confirmed = num_trials // 40
    choices = list(itertools.product(*KNOBS.values()))
    order = np.random.default_rng(1).permutation(len(choices))[: num_trials - 2 * confirmed]
    listed = []
    for number, place in enumerate(order):
        params = dict(zip(KNOBS, choices[place], strict=True))
        listed.append(Made(_with_student(study, params), "search", number, params, None))
    again = [
        Made(at_seed(made.spec, seed), "confirmation", made.number, {}, None)
        for made in _likely_front(listed, confirmed)
        for seed in (1, 2)
    ]
    _write(folder, study_document(study, _about(study.baseline.data, folder)), [*listed, *again])


def make_ablation(folder: Path, num_trials: int, num_seeds: int) -> None:
    """An ablation with claims on accuracy and on latency, eight measuring sessions and the paper's table.

    Args:
        num_trials: a multiple of the seeds that leaves at least four arms.
    """
    if num_trials % num_seeds or num_trials < 4 * num_seeds:
        raise ValueError(f"a made ablation has four arms or more in whole seeds, got {num_trials} over {num_seeds}")
    declared = training_objectives.declare("cpu", _data(training_objectives.STUDY.sources("cpu")))
    spec, choices = declared.arms[2].spec, list(itertools.product(*KNOBS.values()))
    arms = []
    for place in range(num_trials // num_seeds):
        params = dict(zip(KNOBS, choices[(37 * place) % len(choices)], strict=True))
        encoder = _encoder(spec.encoder, params | {"num_heads": spec.encoder.num_heads})
        arms.append(Arm(name=f"arm {place}", because="one of many", spec=replace(spec, student=encoder)))
    study = replace(
        declared, arms=tuple(arms), seeds=tuple(range(num_seeds)), latency_sessions=SESSIONS, claims=_claims()
    )
    listed = [
        Made(at_seed(arm.spec, seed), "arm", number, {"arm": arm.name, "seed": seed}, arm.name)
        for number, (seed, arm) in enumerate(itertools.product(study.seeds, study.arms))
    ]
    _write(folder, study_document(study, _about(study.baseline.data, folder)), listed)
    _write_sessions(folder, study)


def _claims() -> tuple[Claim, ...]:
    shared: dict[str, Any] = {"source": "a paper", "margin_because": "less does not matter"}
    greater = [
        Claim(name=f"arm-{k}-gains", says=f"arm {k} gains", test="greater", margin=0.3, **shared,
              parts=(beats(f"arm {k}", "arm 0"),))
        for k in (1, 2)
    ]  # fmt: skip
    two = Claim(
        name="both-cost-nothing", says="both cost nothing", test="equivalent", margin=1.0, **shared,
        parts=(beats("arm 3", "arm 2"), beats("arm 2", "arm 1")),
    )  # fmt: skip
    faster = Claim(
        name="arm-3-is-faster", says="arm 3 is faster", test="greater", margin=0.05, blocks="sessions", **shared,
        parts=(beats("arm 0", "arm 3", "latency_ratio"),),
    )  # fmt: skip
    return (*greater, two, faster)


def _data(sources: Any) -> DataSpec:
    """The shipped tasks, several times under names of their own."""
    data = known_data_spec(sources, Path("no folder"))
    names = ["", *(f" {number}" for number in range(2, TASKS_TIMES + 1))]
    tasks = tuple(replace(task, name=f"{task.name}{again}") for again in names for task in data.tasks)
    return replace(data, tasks=tasks)


def _encoder(encoder: EncoderConfig, params: dict[str, int]) -> EncoderConfig:
    narrow = params["bottleneck_size"]
    return replace(
        encoder, bottleneck_size=narrow, num_heads=params["num_heads"], num_feed_forward=params["num_feed_forward"],
        feed_forward_size=params["widening"] * narrow,
    )  # fmt: skip


def _with_student(study: Search, params: dict[str, int]) -> TrialSpec:
    return replace(study.baseline, student=_encoder(study.baseline.encoder, params))


def _ratio(spec: TrialSpec) -> float:
    """A made latency ratio: what is counted, and what every operation costs."""
    encoder = spec.encoder
    flops = student_cost(encoder, spec.data.length).flops
    return flops / 2e7 + 0.04 * encoder.num_layers * (2 + encoder.num_feed_forward)


def _likely_front(listed: list[Made], count: int) -> list[Made]:
    return sorted(listed, key=lambda made: _ratio(made.spec))[:: max(1, len(listed) // max(1, count))][:count]


def _write(folder: Path, study: dict[str, Any], listed: Iterable[Made]) -> None:
    (folder / "trials").mkdir(parents=True)
    (folder / "study.json").write_text(json.dumps(study, indent=1))
    for place, made in enumerate(listed):
        record = _record(place, made)
        # As long as what the driver writes with an indent, but by the fast encoder.
        text = json.dumps(record, separators=(",\n   ", ": "))
        (folder / "trials" / f"{record['fingerprint']}.json").write_text(text)


def _record(place: int, made: Made) -> dict[str, Any]:
    draw = np.random.default_rng(place)
    has_diverged = place % DIVERGED_EVERY == DIVERGED_EVERY - 1
    distributions = {
        name: json.dumps(
            {"name": "CategoricalDistribution", "attributes": {"choices": list(KNOBS.get(name, (value,)))}}
        )
        for name, value in made.params.items()
    }
    proposal = {"number": made.number, "generation": made.number // GENERATION, "params": made.params,
                "distributions": distributions, "arm": made.arm}  # fmt: skip
    return {
        "schema": 1,
        "fingerprint": fingerprint(made.spec),
        "status": "diverged" if has_diverged else "complete",
        "role": made.role,
        "reason": "the loss was not finite at step 35 of transfer-2" if has_diverged else "",
        "spec": to_json(made.spec),
        "measurements": [*_scores(made.spec, draw, has_diverged), *_costs(made.spec, draw)],
        "curves": _curves(made.spec, draw),
        "provenance": _provenance(place),
        "trials": [] if made.role == "confirmation" else [proposal],
    }


def _measured(metric: str, value: float, unit: str, half: float | None = None, **conditions: Any) -> dict[str, Any]:
    interval = None if half is None else {"low": value - half, "high": value + half, "level": 0.95}
    return {"metric": metric, "value": value, "unit": unit, "n": 20, "conditions": conditions, "interval": interval}


def _scores(spec: TrialSpec, draw: np.random.Generator, has_diverged: bool) -> list[dict[str, Any]]:
    """Accuracy and every task's metric on both splits; none where the trial diverged."""
    if has_diverged:
        return []
    encoder, common = spec.encoder, 2 * np.random.default_rng([7, spec.seed]).normal()
    ideal = 52 + 6 * np.log(encoder.bottleneck_size / 4) + 0.9 * encoder.num_feed_forward + common
    found = []
    for split, prefix in (("test", ""), ("validation", "validation/")):
        values = np.clip(ideal + 2 * draw.normal(size=len(spec.data.tasks)), 1, 99).tolist()
        found.append(_measured(f"{prefix}accuracy", float(np.mean(values)), "%", 0.9, split=split, tasks=len(values)))
        found += [
            _measured(f"{prefix}{task.name}/{task.metric}", value, "%", 2.2, split=split, task=task.name, primary=True)
            for task, value in zip(spec.data.tasks, values, strict=True)
        ]
    return found


def _costs(spec: TrialSpec, draw: np.random.Generator) -> list[dict[str, Any]]:
    cost, ratio = student_cost(spec.encoder, spec.data.length), _ratio(spec) * (1 + 0.01 * draw.normal())
    case: dict[str, Any] = {"runtime": "eager", "device": "cpu", "threads": 1, "batch": 32, "length": 32}
    return [
        _measured("train_seconds", 60 + 10 * draw.random(), "s"),
        _measured("parameters", cost.parameters, "parameters"),
        _measured("flops", cost.flops, "FLOPs"),
        _measured("peak_memory_bytes", 5e8, "B"),
        _measured("latency_ms", 7.3 * ratio, "ms", 0.07 * ratio, **case),
        _measured("latency_ratio", ratio, "x reference", 0.01 * ratio, **case, reference="baseline"),
    ]


def _curves(spec: TrialSpec, draw: np.random.Generator) -> list[dict[str, Any]]:
    stages = [*STAGES, *(f"fine-tuning/{task.name}" for task in spec.data.tasks)]
    values = 0.5 + 2.5 * np.exp(-np.arange(POINTS_OF_A_STAGE) / 6) + 0.05 * draw.normal(size=(len(stages), 1))
    return [
        {"stage": stage, "step": 10 * (step + 1), "metric": "loss", "value": value}
        for stage, row in zip(stages, values.tolist(), strict=True)
        for step, value in enumerate(row)
    ]


def _provenance(place: int) -> dict[str, Any]:
    time = f"2026-01-{1 + place // 1440 % 28:02d}T{place // 60 % 24:02d}:{place % 60:02d}"
    return {
        "commit": "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567", "dirty": False, "python": "3.11.7",
        "versions": {"torch": "2.13.0", "optuna": "5.0.0", "numpy": "2.4.6"}, "machine": "a processor", "cores": 2,
        "device": "cpu", "threads": 1, "started": f"{time}:00+00:00", "finished": f"{time}:50+00:00", "restarts": 0,
    }  # fmt: skip


def _about(data: DataSpec, folder: Path) -> dict[str, Any]:
    """What a run adds to its study's declaration."""
    classes = [task for task in data.tasks if task.kind == "classification"]
    report = [
        {"name": task.name, "kind": task.kind, "metric": task.metric, "rows": {"train": 3000, "test": 800}}
        for task in data.tasks
    ]
    return {
        "command": f"thinbert run {folder.name.rpartition('-')[0]} --scale cpu --runs runs --workers 2",
        "data_report": {"length": data.length, "vocab_size": data.vocab_size, "tasks": report},
        "majority": {task.name: {"metric": task.metric, "value": 50.0} for task in classes},
    }


def _write_sessions(folder: Path, study: Ablation) -> None:
    """Measuring sessions with raw samples of every arm's encoder."""
    (folder / "latency").mkdir()
    draw = np.random.default_rng(3)
    for session in range(SESSIONS):
        reference = 2e6 * (1 + 0.1 * draw.random(ROUNDS))
        candidates = []
        for arm in study.arms:
            samples = reference * _ratio(arm.spec) * (1 + 0.002 * draw.normal(size=ROUNDS))
            candidates.append(
                {"name": fingerprint(arm.spec.student), "series": {"forward_ns": samples.round().tolist()}}
            )
        kept = {"reference": {"forward_ns": reference.round().tolist()}, "candidates": candidates}
        name = "generation-0000" if session == 0 else f"session-{session:02d}"
        (folder / "latency" / f"{name}.json").write_text(json.dumps({"schema": 1, "session": kept}))
