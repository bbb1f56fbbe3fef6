"""Plausible run folders for the tests of the reports: no training, numbers from a formula and a seeded generator."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from reports.points import points

TASKS = {"agreement": 50.0, "negation": 52.0, "roles": 50.4, "topic pair": 50.0, "where": 11.0}
DISTRIBUTIONS = {
    "bottleneck_size": '{"name": "IntDistribution", "attributes": {"log": false, "step": 8, "low": 8, "high": 32}}',
    "num_heads": '{"name": "CategoricalDistribution", "attributes": {"choices": [1, 2, 4]}}',
    "num_feed_forward": '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 4}}',
}


TEACHER = {
    "bottleneck_size": 128,
    "num_heads": 4,
    "num_feed_forward": 1,
    "feed_forward_size": 512,
    "norm": "layer_norm",
}


def make_spec(bottleneck: int = 16, heads: int = 4, stacks: int = 4, seed: int = 0) -> dict[str, Any]:
    student = {
        "num_layers": 6,
        "hidden_size": 64,
        "bottleneck_size": bottleneck,
        "use_bottleneck": True,
        "num_heads": heads,
        "num_feed_forward": stacks,
        "feed_forward_size": 4 * bottleneck,
        "attention_input": "block_input",
        "norm": "no_norm",
        "activation": "relu",
        "embedding_size": 32,
        "vocab_size": 500,
    }
    recipe = {"knowledge_transfer": {"steps": 60}, "pre_training": {"steps": 90}, "fine_tuning": {"steps": 40}}
    data = {"identity": "5d41402abc4b2a76", "length": 64}
    teacher = {"student": {**student, **TEACHER}, "data": data, "seed": seed}
    return {"student": student, "recipe": recipe, "data": data, "seed": seed, "teacher": teacher}


def make_measurement(
    metric: str, value: float, unit: str, half: float | None = None, **conditions: Any
) -> dict[str, Any]:
    interval = None if half is None else {"low": value - half, "high": value + half, "level": 0.95}
    return {"metric": metric, "value": value, "unit": unit, "interval": interval, "n": 20, "conditions": conditions}


def make_trial(number: int, spec: dict[str, Any], *, status: str = "complete", role: str = "search") -> dict[str, Any]:
    student = spec["student"]
    noise = np.random.default_rng(1000 * number + spec["seed"])
    size = 6 * student["bottleneck_size"] * (200 + 8 * student["bottleneck_size"] * student["num_feed_forward"])
    ratio = 0.12 + size / 260_000 + 0.03 * student["num_feed_forward"] + 0.004 * noise.normal()
    ideal = 58 + 7.5 * math.log(student["bottleneck_size"] / 6) + 1.1 * student["num_feed_forward"]
    scores = {
        task: min(97.0, max(base, ideal + 3 * place + noise.normal() * 1.2))
        for place, (task, base) in enumerate(TASKS.items())
    }
    latency = {"runtime": "eager", "device": "cpu", "threads": 1, "batch": 32, "length": 64}
    measurements = [
        make_measurement("latency_ms", 7.3 * ratio, "ms", 0.1, **latency),
        make_measurement("latency_ratio", ratio, "x reference", 0.008, reference="mobilebert, scaled", **latency),
        make_measurement("parameters", 200_000 + size, "parameters"),
        make_measurement("flops", 90.0 * size, "FLOPs"),
        make_measurement("train_seconds", 61.0 + number, "s"),
    ]
    if status == "complete":
        mean = sum(scores.values()) / len(scores)
        measurements.append(make_measurement("validation/accuracy", mean + 0.4, "%", split="validation"))
        measurements.append(make_measurement("accuracy", mean, "%", split="test", tasks=len(scores)))
        measurements += [
            make_measurement(f"{task}/accuracy", value, "%", 2.2, split="test", task=task, primary=True)
            for task, value in scores.items()
        ]
    params = {key: student[key] for key in DISTRIBUTIONS}
    return {
        "schema": 1,
        "fingerprint": f"{number:04x}{spec['seed']:02x}0123456789",
        "status": status,
        "role": role,
        "reason": "the loss was not finite at step 35 of transfer-2" if status == "diverged" else "",
        "spec": spec,
        "measurements": measurements,
        "curves": make_curves(noise, ideal),
        "provenance": {
            "commit": "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567",
            "dirty": False,
            "versions": {"torch": "2.13.0", "optuna": "5.0.0", "numpy": "2.4.6"},
            "python": "3.11.7",
            "device": "cpu",
            "machine": "AMD EPYC",
            "cores": 2,
            "threads": 1,
            "started": f"2026-11-23T20:{number % 60:02d}:00Z",
            "finished": f"2026-11-23T21:{number % 60:02d}:00Z",
            "restarts": int(number == 3),
        },
        "trials": []
        if role == "confirmation"
        else [
            {"number": number, "generation": number // 4, "params": params, "distributions": DISTRIBUTIONS, "arm": None}
        ],
    }


def make_curves(noise: np.random.Generator, ideal: float) -> list[dict[str, Any]]:
    stages = [
        *(f"transfer-{block}" for block in range(1, 4)),
        "distillation",
        "fine-tuning/agreement",
        "fine-tuning/roles",
    ]
    points = []
    for stage in stages:
        final = (100 - ideal) / 25
        for step in range(5, 45, 5):
            value = final + 2.5 * math.exp(-step / 14) + 0.05 * noise.normal()
            points.append({"stage": stage, "step": step, "metric": "loss", "value": value})
    return points


def make_task_report(task: str) -> dict[str, Any]:
    return {
        "name": task,
        "kind": "classification",
        "rows": {"train": 2000, "validation": 200, "test": 500},
        "labels": {"train": {"no": 1000, "yes": 1000}, "test": {"no": 260, "yes": 240}},
        "unseen_labels": {},
        "missing": {"train": 0, "validation": 0, "test": 0},
        "made": ["validation"],
        "truncated": {"train": 0.012, "validation": 0.0, "test": 0.0},
        "majority": "no",
    }


def make_study() -> dict[str, Any]:
    teacher = [make_measurement("accuracy", 86.2, "%", split="test")]
    teacher += [
        make_measurement(f"{task}/accuracy", 84.0 + 2 * i, "%", 1.8, split="test") for i, task in enumerate(TASKS)
    ]
    return {
        "schema": 1,
        "study": "student-search",
        "scale": "cpu",
        "kind": "search",
        "question": "Which bottleneck width, head count and number of FFNs give the most accuracy for its time?",
        "command": "thinbert run student-search --scale cpu --runs runs --corpus /home/ada/texts/corpus --workers 2",
        "baseline": make_spec(),
        "objectives": ["accuracy", "latency_ratio"],
        "scaling": [
            {"what": "blocks", "paper": 24, "here": 6},
            {"what": "width between blocks", "paper": 512, "here": 64},
            {
                "what": "pre-training",
                "paper": "740,000 steps of 4,096 x 512 tokens",
                "here": "90 steps of 32 x 64 tokens",
            },
        ],
        "data_report": {
            "length": 64,
            "vocab_size": 500,
            "corpus": {"documents": 1200, "segments": 9000, "pieces": 120_000},
            "tasks": [make_task_report(task) for task in TASKS],
        },
        "majority": {task: {"metric": "accuracy", "value": value} for task, value in TASKS.items()},
        "teacher": {"fingerprint": "feedfacefeedface", "measurements": teacher},
    }


def make_search(num_trials: int = 24, seed: int = 1) -> list[dict[str, Any]]:
    choose = np.random.default_rng(seed)
    specs, seen = [make_spec()], {(16, 4, 4)}
    while len(specs) < num_trials:
        drawn = (int(choose.choice([8, 16, 24, 32])), int(choose.choice([1, 2, 4])), int(choose.integers(1, 5)))
        if drawn not in seen:
            seen.add(drawn)
            specs.append(make_spec(*drawn))
    return [make_trial(n, spec, status="diverged" if n in (7, 15) else "complete") for n, spec in enumerate(specs)]


def make_confirmations(records: list[dict[str, Any]], seeds: tuple[int, ...] = (1, 2)) -> list[dict[str, Any]]:
    """The configurations that the records' front consists of, trained again with other seeds."""
    fingerprints = {point.fingerprints[0] for point in points(records, make_spec()) if point.on_front}
    made = []
    for record in records:
        for seed in seeds if record["fingerprint"] in fingerprints else ():
            student = record["spec"]["student"]
            knobs = (student["bottleneck_size"], student["num_heads"], student["num_feed_forward"])
            made.append(make_trial(record["trials"][0]["number"], make_spec(*knobs, seed=seed), role="confirmation"))
    return made


def write_run(folder: Path, study: dict[str, Any] | None, records: list[dict[str, Any]]) -> Path:
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    if study is not None:
        (folder / "study.json").write_text(json.dumps(study), encoding="utf-8")
    for record in records:
        (folder / "trials" / f"{record['fingerprint']}.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def make_ablation_study(arms: tuple[str, ...] = ("bare", "transfer"), num_seeds: int = 8) -> dict[str, Any]:
    study = make_study()
    del study["teacher"]
    reasons = {"bare": "what the student learns from labels alone"}
    return study | {
        "study": "knowledge-transfer",
        "kind": "ablation",
        "question": "Does knowledge transfer raise the student's accuracy at equal numbers of student updates?",
        "command": "thinbert run knowledge-transfer --scale cpu --runs runs --workers 2",
        "arms": [{"name": arm, "because": reasons.get(arm, f"the paper's {arm}")} for arm in arms],
        "seeds": list(range(num_seeds)),
        "smallest_effect": 1.0,
    }


def make_arm_trial(number: int, arm: str, seed: int, accuracy: float | None, **scores: float) -> dict[str, Any]:
    """A trial of an ablation; without an accuracy it diverged. `scores` are tasks' accuracies."""
    spec = make_spec(seed=seed)
    spec["recipe"] = {**spec["recipe"], "arm": arm}
    record = make_trial(number, spec, role="arm", status="complete" if accuracy is not None else "diverged")
    kept = [item for item in record["measurements"] if not item["metric"].endswith("accuracy")]
    if accuracy is not None:
        kept.append(make_measurement("accuracy", accuracy, "%", split="test", tasks=len(scores)))
        kept += [
            make_measurement(f"{task}/accuracy", score, "%", 2.2, split="test", task=task, primary=True)
            for task, score in scores.items()
        ]
    record["measurements"] = kept
    record["trials"][0] |= {"arm": arm, "params": {"arm": arm, "seed": seed}, "generation": 0}
    return record


def make_ablation(effects: dict[str, float], num_seeds: int = 8, noise: float = 0.6) -> list[dict[str, Any]]:
    """Arms whose accuracy differs by `effects` from 70 points; what is common to a seed is larger than the noise."""
    draw = np.random.default_rng(5)
    records = []
    for seed in range(num_seeds):
        common = 2.0 * draw.normal()
        for arm, effect in effects.items():
            scores = {
                task: 62.0 + 4 * place + common + effect * place / 2 + 2 * noise * draw.normal()
                for place, task in enumerate(TASKS)
            }
            mean = sum(scores.values()) / len(scores)
            records.append(make_arm_trial(len(records), arm, seed, mean, **scores))
    return records
