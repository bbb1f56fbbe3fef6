"""What an ablation says: the verdict on each arm first, its table, what may be believed, and the tasks as exploration."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from markupsafe import Markup

from reports.contrast import LEVEL, PRIMARY, SMALLEST_NUM_PAIRS, Contrast, margin_of, num_left_out
from reports.findings import about_divergence, about_latency, about_majority, about_scale, counted
from reports.points import Point
from reports.readable import DASH, percent, plural, signed
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


def ablation_headline(run: Run, contrasts: Sequence[Contrast]) -> list[Markup]:
    """The verdict on each arm, then the trials counted."""
    said = [_verdict_sentence(contrast, margin_of(run.study)) for contrast in primary(contrasts)]
    if not said and run.records:
        said = [Markup("study.json names fewer than two arms, so there is nothing to compare.")]
    return [*said, counted(run.records)]


def _verdict_sentence(contrast: Contrast, margin: float | None) -> Markup:
    arm, baseline = (Markup("<strong>{}</strong>").format(name) for name in (contrast.arm, contrast.baseline))
    if contrast.mean is None:
        return Markup("Nothing can be said of {} against {}: no seed has a result in both.").format(arm, baseline)
    size, evidence = f"{abs(contrast.mean):.1f} points", _evidence(contrast)
    if contrast.verdict in ("better", "worse"):
        text = "{} is {} than {} by {} of accuracy ({}){}."
        return Markup(text).format(arm, contrast.verdict, baseline, size, evidence, _beyond(contrast, margin))
    if contrast.verdict == "no difference that matters":
        text = "There is no difference that matters between {} and {}: {} points of accuracy ({}), all within {:g}."
        return Markup(text).format(arm, baseline, signed(contrast.mean), evidence, margin)
    text = "Whether {} is better or worse than {} cannot be told yet: {} points of accuracy ({}). {}"
    return Markup(text).format(arm, baseline, signed(contrast.mean), evidence, _way_out(contrast))


def _evidence(contrast: Contrast) -> str:
    parts = [plural(contrast.num_pairs, "paired seed")]
    if contrast.interval is not None:
        parts.insert(0, f"95 % interval {_interval(contrast)}")
    if contrast.p_holm is not None:
        parts.append(f"p = {_p(contrast.p_holm)}")
    if contrast.lost:
        parts.append(f"{plural(len(contrast.lost), 'pair')} lost")
    return ", ".join(parts)


def _beyond(contrast: Contrast, margin: float | None) -> str:
    """Whether a difference that is there is also as large as what matters."""
    if margin is None or contrast.interval is None:
        return ""
    nearest = min(abs(end) for end in contrast.interval)
    if nearest >= margin:
        return f", more than the {margin:g} that matters"
    return f"; whether by the {margin:g} that matters is open"


def _way_out(contrast: Contrast) -> str:
    if contrast.num_pairs < SMALLEST_NUM_PAIRS:
        text = f"No verdict is possible below {SMALLEST_NUM_PAIRS} paired seeds"
        return f"{text}; {contrast.forecast} might settle it." if contrast.deviation is not None else f"{text}."
    return f"{contrast.forecast.capitalize()} would probably settle it."


def contrast_table(contrasts: Sequence[Contrast]) -> Table:
    """The judged contrasts, one row per arm."""
    judged = primary(contrasts)
    heads = ("arm", "verdict", "difference, points", "p", "pairs", "lost pairs", "detectable, points")
    rows = tuple(
        (
            Cell(text=contrast.arm, note=_means(contrast)),
            Cell(text=contrast.verdict or DASH, note=contrast.forecast),
            Cell(text=signed(contrast.mean), note=_interval(contrast)),
            Cell(text=_p(contrast.p_holm), note=f"alone {_p(contrast.p)}" if len(judged) > 1 and contrast.p else ""),
            Cell(text=str(contrast.num_pairs)),
            Cell(text=str(len(contrast.lost)), note=_lost(contrast)),
            Cell(text=percent(contrast.detectable), note=contrast.why_not),
        )
        for contrast in judged
    )
    return Table(heads=heads, numeric=(False, False, *[True] * 5), rows=rows)


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
                    Cell(text=signed(contrast.mean), note=_interval(contrast)),
                    Cell(text=percent(contrast.baseline_mean)),
                    Cell(text=percent(contrast.arm_mean)),
                    Cell(text=percent(majority.get(task))),
                    Cell(text=str(contrast.num_pairs)),
                )
            )
    baseline = exploratory[0].baseline if exploratory else "baseline"
    heads = ("task", "arm", "difference, points", baseline, "arm's mean", "majority class", "pairs")
    return Table(heads=heads, numeric=(False, False, *[True] * 5), rows=tuple(rows))


def rule(run: Run, contrasts: Sequence[Contrast]) -> str:
    """The rule of the verdicts in words, with this study's numbers."""
    margin, num_arms = margin_of(run.study), len(primary(contrasts))
    held = "" if num_arms < 2 else f", adjusted by Holm over {num_arms} arms,"
    text = "Declared before the runs: "
    if margin is not None:
        text += f'"no difference that matters" where the whole interval lies within {margin:g} of zero; else '
    text += f'"better" or "worse" where the sign-flip p{held} is at most {LEVEL:g}; else "cannot tell". '
    text += "The interval holds every mean that the exact sign-flip test does not reject. Detectable is the true "
    text += "difference that these pairs would find in 4 of 5 studies, given the spread seen here"
    return text + (" and Holm's strictest step." if num_arms > 1 else ".")


def ablation_conclusions(run: Run, points: list[Point], contrasts: Sequence[Contrast]) -> list[Markup]:
    """What may be believed, most important first; empty for a run without trials."""
    if not run.records:
        return []
    found = [*_about_pairs(contrasts), *_about_losses(contrasts), *_about_forecast(contrasts), *_about_zero(contrasts)]
    left_out = num_left_out(run.records, run.study) if contrasts else 0
    if left_out:
        text = "{} in no contrast: of an arm or seed that study.json does not name, or superseded by a later trial."
        found.append(Markup(text).format(f"{plural(left_out, 'trial')} {'is' if left_out == 1 else 'are'}"))
    if any(contrast.metric != PRIMARY for contrast in contrasts):
        text = "Single tasks are shown with intervals and without verdicts: with many tasks some difference stands out "
        found.append(Markup(text + "by chance. They suggest what to ask next."))
    found += about_divergence(run)
    return [*found, *about_majority(run, points), *about_latency(run), *about_scale(run)]


def _about_pairs(contrasts: Sequence[Contrast]) -> list[Markup]:
    judged = primary(contrasts)
    if not judged:
        return []
    fewest = min(contrast.num_pairs for contrast in judged)
    text = (
        "<strong>Differences are taken inside a seed</strong>: both arms see the same data in the same order. What is "
    )
    text += "found holds for these data, this recipe and this size; seeds are the only thing that was repeated."
    found = [Markup(text)]
    if fewest < SMALLEST_NUM_PAIRS:
        text = "<strong>Too few pairs for any verdict.</strong> With {} the sign-flip p cannot go below {:.2g}, and no 95 % "
        text += "interval is finite; at least {} are needed."
        smallest = min(1.0, 2.0 ** (1 - fewest))
        found.insert(0, Markup(text).format(plural(fewest, "pair"), smallest, SMALLEST_NUM_PAIRS))
    return found


def _about_losses(contrasts: Sequence[Contrast]) -> list[Markup]:
    found = []
    for contrast in primary(contrasts):
        if not contrast.lost:
            continue
        text = "<strong>{} of {} pairs of {} lost</strong>: {}. "
        total = contrast.num_pairs + len(contrast.lost)
        said = Markup(text).format(len(contrast.lost), total, contrast.arm, _lost(contrast))
        blown = {pair.arm for pair in contrast.lost if pair.reason in ("diverged", "failed")}
        if blown:
            who = " and ".join(name for name in (contrast.baseline, contrast.arm) if name in blown)
            text = "The seeds that are left may flatter {}, whose weak runs are not among them."
            said += Markup(text).format(who)
        found.append(said)
    return found


def _about_forecast(contrasts: Sequence[Contrast]) -> list[Markup]:
    if not any(contrast.forecast for contrast in primary(contrasts)):
        return []
    text = (
        "The number of further seeds takes the difference and the spread seen so far for the truth. Decide on a number "
    )
    return [Markup(text + "and run it to its end: a test repeated until it agrees is no test.")]


def _about_zero(contrasts: Sequence[Contrast]) -> list[Markup]:
    same = [c.arm for c in primary(contrasts) if c.num_pairs > 1 and not any(c.differences)]
    text = "Every difference of {} is exactly 0: it may be the same model under another name."
    return [Markup(text).format(", ".join(same))] if same else []


def contrast_cells(contrasts: Sequence[Contrast]) -> list[tuple[str, ...]]:
    """The judged contrasts as rows of plain text under a head, for a terminal."""
    head = ("accuracy, points", "difference", "95 % interval", "p", "pairs", "lost", "detectable", "verdict")
    rows = [
        (
            f"{contrast.arm} against {contrast.baseline}",
            signed(contrast.mean),
            "none finite" if contrast.interval is None else _interval(contrast),
            _p(contrast.p_holm),
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


def _interval(contrast: Contrast) -> str:
    if contrast.interval is None:
        return "" if contrast.mean is None else f"no interval below {SMALLEST_NUM_PAIRS} pairs"
    return f"{signed(contrast.interval[0])} to {signed(contrast.interval[1])}"


def _p(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _lost(contrast: Contrast) -> str:
    """Such as `transfer diverged at seeds 1, 4; bare not trained at seed 5`."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for pair in contrast.lost:
        grouped.setdefault((pair.arm, pair.reason), []).append(str(pair.seed))
    return "; ".join(
        f"{arm} {reason} at seed{'' if len(seeds) == 1 else 's'} {', '.join(seeds)}"
        for (arm, reason), seeds in grouped.items()
    )
