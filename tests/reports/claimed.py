"""Runs with claims for the tests of the verdicts: accuracies and session ratios as given, no training."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from search.claim import Claim
from search.values import to_json


def make_claim(name: str, *parts: Any, test: Any = "greater", margin: float = 1.0, blocks: Any = "seeds") -> Claim:
    return Claim(
        name=name,
        says=f"{name} holds",
        source="Sun et al. 2020, Table 9",
        test=test,
        margin=margin,
        margin_because="less than a point is what a seed does",
        parts=parts,
        blocks=blocks,
    )


def make_study(synthetic: Any, claims: Any, arms: Any, num_seeds: int, **study: Any) -> dict[str, Any]:
    declared = synthetic.make_ablation_study(tuple(arms), num_seeds)
    declared["arms"] = [{**arm, "encoder": encoder_of(arm["name"])} for arm in declared["arms"]]
    return {**declared, "claims": to_json(list(claims)), "latency_sessions": 1, **study}


def make_records(synthetic: Any, arms: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """One trial per arm and seed: None diverged, "" was not trained, "failed" failed."""
    records = []
    for place, (arm, values) in enumerate(arms.items()):
        for seed, value in enumerate(values):
            if value == "":
                continue
            number = 100 * place + seed
            records.append(synthetic.make_arm_trial(number, arm, seed, None if value == "failed" else value))
            if value == "failed":
                records[-1]["status"] = "failed"
    return records


def encoder_of(arm: str) -> str:
    return f"encoder-{arm}"


def write_sessions(run: Path, ratios: dict[str, list[float | None]], rounds: int = 5) -> None:
    """Measuring sessions with raw samples whose ratio to the reference scatters around the one given; None: refused."""
    (run / "latency").mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(3)
    num_sessions = len(next(iter(ratios.values())))
    for session in range(num_sessions):
        reference = (2e6 * (1 + 0.1 * draw.random(rounds))).tolist()
        candidates = [
            {
                "name": encoder_of(arm),
                "series": {
                    "forward_ns": [base * of_session[session] * (1 + 0.001 * draw.normal()) for base in reference]
                },
            }
            for arm, of_session in ratios.items()
            if of_session[session] is not None
        ]
        kept = {"reference": {"forward_ns": reference}, "candidates": candidates} if candidates else None
        name = "generation-0000" if session == 0 else f"session-{session:02d}"
        (run / "latency" / f"{name}.json").write_text(json.dumps({"schema": 1, "session": kept}))
