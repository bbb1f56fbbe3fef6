"""The verdicts on a study's claims as tables: for the page, for a terminal, and as numbers for files."""

from collections.abc import Sequence
from typing import Any

from reports.blocks import LostBlock
from reports.contrast_tables import losses_text, p_text
from reports.pareto import Interval
from reports.readable import DASH, signed
from reports.sections import Cell, Table
from reports.verdict import PartResult, Verdict
from search.claim import Claim

CLAIM_COLUMNS = (
    "claim", "says", "source", "test", "blocks", "verdict", "contrast", "unit", "effect", "deviation", "low", "high",
    "level", "margin", "margin_because", "p", "p_holm", "n", "num_lost", "lost", "look", "num_looks", "more",
    "forecast",
)  # fmt: skip
PART_COLUMNS = (
    "claim", "part", "contrast", "unit", "blocks", "differences", "mean", "deviation", "low", "high", "p", "p_against",
    "n", "num_lost", "lost",
)  # fmt: skip


def claim_table(verdicts: Sequence[Verdict]) -> Table:
    """One row per claim, in declared order."""
    heads = ("claim", "verdict", "effect", "interval", "margin", "p", "n", "lost", "more")
    rows = tuple(
        (
            Cell(text=verdict.claim.says, note=_about(verdict.claim)),
            Cell(text=verdict.outcome, note=look_text(verdict)),
            Cell(text=effect_text(verdict.shown), note=effect_note(verdict)),
            Cell(text=interval_text(verdict.shown), note=level_text(verdict.level)),
            Cell(text=f"{verdict.claim.margin:g}"),
            Cell(text=p_text(verdict.p_holm), note=f"alone {p_text(verdict.p)}" if len(verdicts) > 1 else ""),
            Cell(text=str(verdict.num_blocks), note=verdict.claim.blocks),
            Cell(text=str(num_lost(verdict.lost)), note=lost_text(verdict)),
            Cell(text=DASH if verdict.more is None else str(verdict.more), note=verdict.forecast),
        )
        for verdict in verdicts
    )
    return Table(heads=heads, numeric=(False, False, *[True] * 7), rows=rows)


def _about(claim: Claim) -> str:
    return f"{claim.name}; {claim.source}. Margin: {claim.margin_because}"


def part_table(verdicts: Sequence[Verdict]) -> Table:
    """One row per part of the claims that have several; empty where none has."""
    rows = tuple(
        (
            Cell(text=verdict.claim.name),
            Cell(text=part.label, note="decides" if place == verdict.deciding else ""),
            Cell(text=effect_text(part), note=part.unit),
            Cell(text=interval_text(part), note=level_text(verdict.level)),
            Cell(text=p_text(part.p)),
            Cell(text=p_text(part.p_against)),
            Cell(text=str(part.num_blocks)),
        )
        for verdict in verdicts
        if len(verdict.parts) > 1
        for place, part in enumerate(verdict.parts)
    )
    heads = ("claim", "part", "effect", "interval", "p for", "p against", "n")
    return Table(heads=heads, numeric=(False, False, *[True] * 5), rows=rows)


def claim_cells(verdicts: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """The verdicts as rows of plain text under a head, for a terminal."""
    head = ("claim", "effect", "interval", "margin", "p", "n", "lost", "verdict")
    rows = [
        (
            verdict.claim.name,
            " ".join(text for text in (effect_text(verdict.shown), verdict.shown.unit) if text),
            interval_text(verdict.shown),
            f"{verdict.claim.margin:g}",
            p_text(verdict.p_holm),
            str(verdict.num_blocks),
            str(num_lost(verdict.lost)),
            f"{verdict.outcome} ({verdict.forecast})" if verdict.forecast else verdict.outcome,
        )
        for verdict in verdicts
    ]
    return [head, *rows]


def claim_rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """All verdicts as numbers, for the CSV and JSON tables."""
    rows = []
    for verdict in verdicts:
        claim, part = verdict.claim, verdict.shown
        low, high = part.interval or (None, None)
        values = (
            claim.name, claim.says, claim.source, claim.test, claim.blocks, verdict.outcome, part.label, part.unit,
            part.mean, part.deviation, low, high, verdict.level, claim.margin, claim.margin_because, verdict.p,
            verdict.p_holm, verdict.num_blocks, num_lost(verdict.lost), _lost(verdict.lost), verdict.look,
            verdict.num_looks, verdict.more, verdict.forecast,
        )  # fmt: skip
        rows.append(dict(zip(CLAIM_COLUMNS, values, strict=True)))
    return rows


def part_rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Every part of every claim as numbers."""
    rows = []
    for verdict in verdicts:
        for place, part in enumerate(verdict.parts):
            low, high = part.interval or (None, None)
            values = (
                verdict.claim.name, place, part.label, part.unit, part.blocks, part.differences, part.mean,
                part.deviation, low, high, part.p, part.p_against, part.num_blocks, num_lost(part.lost),
                _lost(part.lost),
            )  # fmt: skip
            rows.append(dict(zip(PART_COLUMNS, values, strict=True)))
    return rows


def digits_of(unit: str) -> int:
    """Decimals of a difference: two for points, three for ratios and times."""
    return 2 if unit in ("points", "") else 3


def effect_text(part: PartResult) -> str:
    """The mean difference with its sign."""
    return signed(part.mean, digits_of(part.unit))


def effect_note(verdict: Verdict) -> str:
    """What the shown effect is an effect of."""
    others = len(verdict.parts) - 1
    beside = f"; the deciding one of {others + 1} parts" if others else ""
    return f"{verdict.shown.unit}, {verdict.shown.label}{beside}".removeprefix(", ")


def interval_text(part: PartResult) -> str:
    """The interval of the mean, or that there is none."""
    return _between(part.interval, digits_of(part.unit))


def _between(interval: Interval, digits: int) -> str:
    return "none finite" if interval is None else f"{signed(interval[0], digits)} to {signed(interval[1], digits)}"


def level_text(level: float) -> str:
    """The level of an interval.

    >>> level_text(0.05), level_text(0.05 / 6)
    ('95 %', '99.17 %')
    """
    return f"{100 * (1 - level):.4g} %"


def look_text(verdict: Verdict) -> str:
    """Of which look the verdict is; empty without looks."""
    if not verdict.num_looks:
        return ""
    return f"look {verdict.look} of {verdict.num_looks}" if verdict.look else f"before look 1 of {verdict.num_looks}"


def num_lost(lost: Sequence[LostBlock]) -> int:
    """Blocks with a loss, each counted once."""
    return len({one.block for one in lost})


def lost_text(verdict: Verdict) -> str:
    """Who was lost, where and why."""
    noun = verdict.claim.blocks.removesuffix("s")
    return losses_text([(one.arm, one.reason, one.block) for one in verdict.lost], noun)


def _lost(lost: Sequence[LostBlock]) -> list[dict[str, Any]]:
    return [{"block": one.block, "arm": one.arm, "reason": one.reason} for one in lost]
