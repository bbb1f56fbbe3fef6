"""An answer as tables of texts, for a terminal and for the page."""

from collections.abc import Iterable

from reports.comparison.answer import Answer
from reports.comparison.choice import Candidate
from reports.comparison.pairs import Pair
from reports.comparison.subjects import printable
from reports.comparison.text import ratio_text
from reports.contrast import Contrast
from reports.contrast_tables import interval_text, lost_text, p_text
from reports.readable import DASH, big, decimals, milliseconds, percent, signed, spread
from reports.records import value_of
from reports.sections import Cell, Table
from search.trial import Change

MAX_TEXT = 60
"""Of a value that is shown; JSON has it whole."""


def evidence_cells(pairs: Iterable[Pair]) -> list[tuple[str, ...]]:
    """A head, and one row per pair and score, for a terminal; no rows where nothing is paired."""
    head = ("difference, points", "score", "first", "item", "difference", "95 % interval", "p", "pairs", "lost")
    rows: list[tuple[str, ...]] = [head]
    for pair in pairs:
        for found in _contrasts(pair):
            rows.append(
                (
                    f"{pair.subject.name} - {pair.against.name}",
                    printable(found.metric),
                    percent(found.baseline_mean),
                    percent(found.arm_mean),
                    signed(found.mean),
                    interval_text(found) or DASH,
                    p_text(found.p_holm),
                    str(found.num_pairs),
                    str(len(found.lost)),
                )
            )
    return rows if len(rows) > 1 else []


def change_lines(pairs: Iterable[Pair], most: int = 1000) -> list[str]:
    """One line per pair with what differs, the first one's value first; only the number of those beyond `most`."""
    return [f"{pair.subject.name} against {pair.against.name}: {changes_text(pair, most)}" for pair in pairs]


def changes_text(pair: Pair, most: int = 1000) -> str:
    """What differs between two specs, and in how their trials were made."""
    kinds = [type(one.student).__name__.removesuffix("Config") for one in (pair.against, pair.subject)]
    other_kind = kinds[0] != kinds[1]
    said = [f"student {kinds[0]} -> {kinds[1]}"] if other_kind else []
    said += [change_text(one) for one in pair.changes if not (other_kind and one.field.startswith("student."))]
    if len(said) > most:
        said = [*said[:most], f"{len(said) - most} more"]
    return printable("; ".join([*said, *pair.surroundings])) or "nothing but the seed"


def change_text(change: Change) -> str:
    """One field and both values.

    >>> change_text(Change("student.num_heads", 4, 2)), change_text(Change("teacher", None, {"seed": 1}))
    ('student.num_heads 4 -> 2', 'teacher none -> set')
    """
    return f"{change.field} {_value(change.before)} -> {_value(change.after)}"


def candidate_table(answer: Answer) -> Table:
    """One row per item: what it scores, how long it takes, how large it is, and whether it meets the cap."""
    assert answer.choice is not None
    sizes = {item.name: item for item in answer.comparison.items}
    capped = answer.choice.cap_ms is not None
    rows = []
    for one in answer.choice.candidates:
        size = sizes.get(one.name)
        seeds = "one seed" if one.num_seeds == 1 else f"{one.num_seeds} seeds"
        cells = [
            Cell(text=one.name, note=one.left_out),
            Cell(text=percent(one.accuracy), note=seeds if one.num_seeds else ""),
            Cell(text=milliseconds(one.timing.ms), note=_spread_ms(one)),
            *([Cell(text=probability_text(one.probability))] if capped else []),
            Cell(text=big(size.parameters if size else _recorded(answer, one.name, "parameters"))),
            Cell(text=big(size.flops if size else _recorded(answer, one.name, "flops"))),
        ]
        rows.append(tuple(cells))
    cap = (f"meets {answer.choice.cap_ms:g} ms",) if capped else ()
    heads = ("item", "accuracy, %", "ms a pass", *cap, "parameters", "FLOPs")
    chosen = answer.choice.chosen
    marked = tuple(chosen is not None and one.name == chosen.name for one in answer.choice.candidates)
    return Table(heads=heads, numeric=(False, *[True] * (len(heads) - 1)), rows=tuple(rows), marked=marked)


def pair_table(pairs: Iterable[Pair]) -> Table:
    """One row per pair: accuracy, latency ratio, and the verdict in a word."""
    listed = list(pairs)
    several = len({pair.against.name for pair in listed}) > 1
    rows = []
    for pair in listed:
        found, ratio = pair.accuracy, pair.latency
        interval = "" if ratio.interval is None else " to ".join(map(ratio_text, ratio.interval))
        rows.append(
            (
                Cell(text=pair.subject.name, note=f"against {pair.against.name}" if several else ""),
                Cell(text=(found.verdict or DASH) if found and not pair.is_same else DASH),
                Cell(text=signed(found.mean) if found else DASH, note=interval_text(found) if found else ""),
                Cell(text=p_text(found.p_holm) if found else DASH),
                Cell(text=str(found.num_pairs) if found else "0", note=lost_text(found.lost) if found else ""),
                Cell(text=percent(found.detectable) if found else DASH),
                Cell(
                    text=DASH if ratio.ratio is None else ratio_text(ratio.ratio),
                    note=", ".join(part for part in (interval, ratio.basis) if part),
                ),
            )
        )
    heads = ("item", "verdict", "points", "p", "pairs", "detectable", "time ratio")
    return Table(heads=heads, numeric=(False, False, *[True] * 5), rows=tuple(rows))


def task_table(pairs: Iterable[Pair]) -> Table:
    """One row per pair, one column per task: the paired difference with its interval."""
    listed = [pair for pair in pairs if pair.tasks and not pair.is_same]
    metrics = list(dict.fromkeys(found.metric for pair in listed for found in pair.tasks))
    rows = []
    for pair in listed:
        known = {found.metric: found for found in pair.tasks}
        scores = [known.get(metric) for metric in metrics]
        cells = [
            Cell(text=DASH) if one is None else Cell(text=signed(one.mean), note=interval_text(one)) for one in scores
        ]
        rows.append((Cell(text=pair.subject.name), *cells))
    heads = ("item", *(printable(metric).replace("/", ", ").replace("_", " ") for metric in metrics))
    return Table(heads=heads, numeric=(False, *[True] * len(metrics)), rows=tuple(rows))


def probability_text(value: float | None) -> str:
    """A probability in per cent, never 0 or 100."""
    if value is None:
        return DASH
    shown = f"{100 * value:.1f}"
    return "> 99.9 %" if shown == "100.0" else "< 0.1 %" if shown == "0.0" else f"{shown} %"


def _recorded(answer: Answer, name: str, metric: str) -> float | None:
    """What a trial says of its own size, of a student that is no encoder."""
    records = next(subject.records for subject in answer.subjects if subject.name == name)
    return value_of(records[0], metric) if records else None


def _contrasts(pair: Pair) -> tuple[Contrast, ...]:
    return () if pair.accuracy is None or pair.is_same else (pair.accuracy, *pair.tasks)


def _spread_ms(one: Candidate) -> str:
    found = one.timing
    if found.session_ms:
        bounds = (min(found.session_ms), max(found.session_ms))
        return f"{spread(bounds, decimals(found.ms))} in {len(found.session_ms)} sessions"
    return spread(found.interval, decimals(found.ms))


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."
