"""Every cell of every table of an ablation's page, recomputed from the JSON files; one that nothing recomputes fails.

What the cells of the verdicts say is recomputed in `test_recomputed.py`.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.page import write_report
from search.claim import beats
from search.paper_table import PaperTable
from search.values import to_json

pytestmark = pytest.mark.usefixtures("unrendered")
NUM_SEEDS = 7
KNOBS = {"bare": (16, 4, 4), "PD": (16, 4, 2), "narrow": (8, 2, 1)}
"""Bottleneck, heads and stacks of each arm's encoder."""
PAPER = PaperTable(
    source="Table 9", columns=("MNLI-m", "ms"), rows=(("bare", (80.85, None)), ("PD", (84.4, 62.0)), ("X", (1.0, 0.5)))
)


def interval_and_p(differences: list[float]) -> tuple[list[float], float]:
    """The interval at 95 % ([] where none is finite) and the two-sided p of the sign-flip test, by flipping."""
    row = np.array(differences)
    flips = np.array(list(itertools.product([1, -1], repeat=len(row)))) @ row
    p = min(1.0, 2 * min(np.mean(flips >= row.sum() - 1e-9), np.mean(flips <= row.sum() + 1e-9)))
    subsets = [one for one in itertools.product([0, 1], repeat=len(row)) if any(one)]
    means = sorted(float(np.dot(one, row)) / sum(one) for one in subsets)
    rank = int(0.025 * 2 ** len(row) + 1e-9)
    return ([means[rank - 1], means[-rank]] if rank else []), float(p)


def detectable(deviation: float, count: int) -> float:
    """What so many pairs detect in 4 of 5 studies, by a simulation of its own (accurate to some 5 %)."""
    noise = np.random.default_rng(77).normal(size=(4000, count))
    subsets = np.array([one for one in itertools.product([0, 1], repeat=count) if any(one)])
    means = np.sort(noise @ subsets.T / subsets.sum(axis=1), axis=1)
    return deviation * float(np.quantile(-means[:, int(0.025 * 2**count + 1e-9) - 1], 0.8))


def make_ablation(synthetic: Any, claimed: Any, folder: Path) -> Path:
    """Three arms with encoders of their own, scores of a deployed form, sessions; a trial diverged, one failed."""
    claims = [
        claimed.make_claim("pd-helps", beats("PD", "bare")),
        claimed.make_claim("narrow-is-faster", beats("bare", "narrow", "latency_ratio"), blocks="sessions", margin=0.1),
    ]
    study = claimed.make_study(synthetic, claims, KNOBS, NUM_SEEDS, latency_sessions=6, paper=to_json([PAPER]))
    records = []
    for number, (seed, arm) in enumerate(itertools.product(range(NUM_SEEDS), KNOBS)):
        status = {("PD", 2): "diverged", ("narrow", 4): "failed"}.get((arm, seed), "complete")
        record = synthetic.make_trial(number, synthetic.make_spec(*KNOBS[arm], seed=seed), role="arm", status=status)
        record["trials"][0] |= {"arm": arm, "params": {"arm": arm, "seed": seed}}
        if arm == "PD" and status == "complete":
            for one in [one for one in record["measurements"] if one["conditions"].get("split") == "test"]:
                deployed = {"metric": f"onnx-int8/{one['metric']}", "value": one["value"] - 0.3 * seed}
                conditions = {**one["conditions"], "runtime": "onnx-int8"}
                record["measurements"].append({**one, **deployed, "conditions": conditions})
        record["curves"] = record["curves"][:5]
        records.append(record)
    run: Path = synthetic.write_run(folder, study, records)
    draw = np.random.default_rng(4)
    around = {"bare": 1.0, "PD": 0.8, "narrow": 0.4}
    ratios: Any = {arm: [base + 0.02 * draw.normal() for _ in range(6)] for arm, base in around.items()}
    for arm in ratios:
        ratios[arm][3] = None
    claimed.write_sessions(run, ratios, rounds=8)
    return run


def test_every_cell_of_an_ablations_page(synthetic: Any, claimed: Any, cells: Any, tmp_path: Path) -> None:
    value, ends = cells.value, cells.ends
    run = make_ablation(synthetic, claimed, tmp_path / "run")
    shown = cells.Page(write_report(run))
    records, study = cells.files(run), json.loads((run / "study.json").read_text())
    table = {(cells.names_of(one), one["spec"]["seed"]): one for one in records if one["status"] == "complete"}
    of_arm = {arm: [table[arm, seed] for seed in range(NUM_SEEDS) if (arm, seed) in table] for arm in KNOBS}
    session_ratio: dict[str, list[float]] = {arm: [] for arm in KNOBS}
    for path in (run / "latency").glob("*.json"):
        session = json.loads(path.read_text())["session"]
        for one in session["candidates"] if session else []:
            times = np.array(one["series"]["forward_ns"]) / np.array(session["reference"]["forward_ns"])
            session_ratio[one["name"].removeprefix("encoder-")].append(float(np.median(times)))

    def mean(arm: str, metric: str) -> Any:
        values = [number for one in of_arm[arm] if (number := value(one, metric, "test")) is not None]
        return (float(np.mean(values)), [float(np.std(values, ddof=1))]) if values else None

    def ours(arm: str, form: str) -> list[Any]:
        prefix = f"{form}/" if form else ""
        metrics = [f"{prefix}{metric}" for metric in ("accuracy", *(f"{task}/accuracy" for task in cells.TASKS))]
        latency = None if form else float(np.mean(session_ratio[arm]))
        return [f"{arm}, {form}" if form else arm, *(mean(arm, metric) for metric in metrics),
                value(of_arm[arm][0], "parameters"), latency, float(len(of_arm[arm]))]  # fmt: skip

    def differences(arm: str, metric: str) -> tuple[list[float], list[float], list[float]]:
        seeds = [seed for seed in range(NUM_SEEDS) if (arm, seed) in table and ("bare", seed) in table]
        both = [(value(table["bare", s], metric, "test"), value(table[arm, s], metric, "test")) for s in seeds]
        base, other = [one for one, _ in both if one is not None], [two for _, two in both if two is not None]
        return [two - one for one, two in zip(base, other, strict=True)], base, other

    def contrast(arm: str) -> list[Any]:
        found, base, other = differences(arm, "accuracy")
        bounds, p = interval_and_p(found)
        lost = {"PD": "PD diverged at seed 2", "narrow": "narrow failed at seed 4"}[arm]
        return [(arm, [float(np.mean(other)), float(np.mean(base))]), (float(np.mean(found)), bounds), p,
                float(len(found)), (1.0, lost), None]  # fmt: skip

    def contrasts(shown_table: Any) -> None:
        for row, arm in zip(shown_table.rows[1:], ("PD", "narrow"), strict=True):
            found = differences(arm, "accuracy")[0]
            wanted = detectable(float(np.std(found, ddof=1)), len(found))
            assert float(row[-1][0]) == pytest.approx(wanted, rel=0.08, abs=0.06)
            row[-1] = ("-", "")
        cells.check(shown_table, [contrast("PD"), contrast("narrow")])

    def task_row(task: str, arm: str) -> list[Any]:
        found, base, other = differences(arm, f"{task}/accuracy")
        return [(task, "accuracy"), arm, (float(np.mean(found)), interval_and_p(found)[0]), float(np.mean(base)),
                float(np.mean(other)), study["majority"][task]["value"], float(len(found))]  # fmt: skip

    def arm_row(arm: str) -> list[Any]:
        accuracies, first = [value(one, "accuracy", "test") for one in of_arm[arm]], of_arm[arm][0]
        low, high = min(map(float, accuracies)), max(map(float, accuracies))  # type: ignore[arg-type]
        return [arm, (float(np.mean(accuracies)), [low, high, float(len(accuracies))]),  # type: ignore[arg-type]
                *((value(first, metric), ends(first, metric)) for metric in ("latency_ratio", "latency_ms")),
                value(first, "parameters"), value(first, "flops")]  # fmt: skip

    fast_first = sorted(KNOBS, key=lambda arm: value(of_arm[arm][0], "latency_ratio") or 0.0)
    cells.check_all(
        shown,
        cells.common_tables(shown, run, cells.STUDENT)
        | {
            "The paper: ": [[name, *row] for name, row in PAPER.rows],
            "Ours: ": [ours("bare", ""), ours("PD", ""), ours("PD", "onnx-int8"), ours("narrow", "")],
            "Each claim as it was declared": lambda table: None,  # test_recomputed.py
            "Accuracy of each arm minus": contrasts,
            "Each task's score": [task_row(task, arm) for task in cells.TASKS for arm in ("PD", "narrow")],
            "What is compared": [[one["name"], one["because"]] for one in study["arms"]],
            "Every arm, fastest first": [arm_row(arm) for arm in fast_first],
        },
    )
    cells.check_facts(shown, records)
