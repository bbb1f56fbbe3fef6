"""The contrasts of an ablation as tables: for the page, for a terminal, and as numbers for files."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from reports.contrast import PRIMARY, SMALLEST_NUM_PAIRS, Contrast, LostPair, margin_of
from reports.readable import DASH, percent, signed
from reports.records import Run, majority_of
from reports.sections import Cell, Table

CONTRAST_COLUMNS = (
    "arm", "baseline", "metric", "num_pairs", "num_lost", "seeds", "differences", "lost", "baseline_mean", "arm_mean",
    "mean", "deviation", "low", "high", "p", "p_holm", "detectable", "why_not", "margin", "verdict", "more_seeds",
    "forecast",
)  # fmt: skip


def primary(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """The contrasts that are judged."""
    return [contrast for contrast in contrasts if contrast.metric == PRIMARY]


def contrast_table(contrasts: Sequence[Contrast]) -> Table:
    """The contrasts of accuracy, one row per arm; without verdicts where claims are judged instead."""
    shown = primary(contrasts)
    is_judged = any(contrast.verdict for contrast in shown)
    heads = ("arm", "verdict", "difference, points", "p", "pairs", "lost pairs", "detectable, points")
    rows = tuple(
        (
            Cell(text=contrast.arm, note=_means(contrast)),
            Cell(text=contrast.verdict or DASH, note=contrast.forecast),
            Cell(text=signed(contrast.mean), note=interval_text(contrast)),
            Cell(
                text=p_text(contrast.p_holm if is_judged else contrast.p),
                note=f"alone {p_text(contrast.p)}" if is_judged and len(shown) > 1 and contrast.p else "",
            ),
            Cell(text=str(contrast.num_pairs)),
            Cell(text=str(len(contrast.lost)), note=lost_text(contrast.lost)),
            Cell(text=percent(contrast.detectable), note=contrast.why_not),
        )
        for contrast in shown
    )
    if is_judged or not rows:
        return Table(heads=heads, numeric=(False, False, *[True] * 5), rows=rows)
    kept = tuple((row[0], *row[2:]) for row in rows)
    return Table(heads=(heads[0], *heads[2:]), numeric=(False, *[True] * 5), rows=kept)


def contrast_task_table(run: Run, contrasts: Sequence[Contrast]) -> Table:
    """Each task's primary metric: the means and the difference with its interval, no verdict; majority class beside."""
    majority = majority_of(run.study)
    rows = []
    exploratory = [contrast for contrast in contrasts if contrast.metric != PRIMARY]
    for metric, group in groupby(exploratory, key=lambda contrast: contrast.metric):
        task, _, measure = metric.rpartition("/")
        for contrast in group:
            rows.append(
                (
                    Cell(text=task, note=measure.replace("_", " ")),
                    Cell(text=contrast.arm),
                    Cell(text=signed(contrast.mean), note=interval_text(contrast)),
                    Cell(text=percent(contrast.baseline_mean)),
                    Cell(text=percent(contrast.arm_mean)),
                    Cell(text=percent(majority.get(task))),
                    Cell(text=str(contrast.num_pairs)),
                )
            )
    baseline = exploratory[0].baseline if exploratory else "baseline"
    heads = ("task", "arm", "difference, points", baseline, "arm's mean", "majority class", "pairs")
    return Table(heads=heads, numeric=(False, False, *[True] * 5), rows=tuple(rows))


def contrast_cells(contrasts: Sequence[Contrast]) -> list[tuple[str, ...]]:
    """The judged contrasts as rows of plain text under a head, for a terminal."""
    head = ("accuracy, points", "difference", "95 % interval", "p", "pairs", "lost", "detectable", "verdict")
    rows = [
        (
            f"{contrast.arm} against {contrast.baseline}",
            signed(contrast.mean),
            "none finite" if contrast.interval is None else interval_text(contrast),
            p_text(contrast.p_holm),
            str(contrast.num_pairs),
            str(len(contrast.lost)),
            percent(contrast.detectable),
            f"{contrast.verdict} ({contrast.forecast})" if contrast.forecast else str(contrast.verdict),
        )
        for contrast in primary(contrasts)
    ]
    return [head, *rows]


def contrast_rows(run: Run, contrasts: Sequence[Contrast]) -> list[dict[str, Any]]:
    """All contrasts as numbers, for the CSV and JSON tables."""
    rows = []
    for contrast in contrasts:
        low, high = contrast.interval or (None, None)
        counts = {"num_pairs": contrast.num_pairs, "num_lost": len(contrast.lost), "margin": margin_of(run.study)}
        rows.append({**asdict(contrast), **counts, "low": low, "high": high})
    return rows


def _means(contrast: Contrast) -> str:
    if contrast.mean is None:
        return f"against {contrast.baseline}"
    return f"{percent(contrast.arm_mean)} against {percent(contrast.baseline_mean)} of {contrast.baseline}"


def interval_text(contrast: Contrast) -> str:
    if contrast.interval is None:
        return "" if contrast.mean is None else f"no interval below {SMALLEST_NUM_PAIRS} pairs"
    return f"{signed(contrast.interval[0])} to {signed(contrast.interval[1])}"


def p_text(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}" if value >= 0.001 else "< 0.001"


def lost_text(lost: Sequence[LostPair]) -> str:
    """Such as `transfer diverged at seeds 1, 4; bare not trained at seed 5`."""
    return losses_text([(pair.arm, pair.reason, pair.seed) for pair in lost], "seed")


def losses_text(lost: Sequence[tuple[str, str, int]], noun: str) -> str:
    """The same of (arm, reason, block), blocks called by the noun."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for arm, reason, block in lost:
        grouped.setdefault((arm, reason), []).append(str(block))
    return "; ".join(
        f"{arm} {reason} at {noun}{'' if len(blocks) == 1 else 's'} {', '.join(blocks)}"
        for (arm, reason), blocks in grouped.items()
    )
