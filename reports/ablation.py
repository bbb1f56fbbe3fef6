"""What an ablation says in sentences with names escaped: the verdict on each arm, and what may be believed."""

from collections.abc import Sequence

from markupsafe import Markup

from reports.contrast import LEVEL, PRIMARY, SMALLEST_NUM_PAIRS, Contrast, margin_of, num_left_out
from reports.contrast_tables import interval_text, lost_text, p_text, primary
from reports.findings import about_divergence, about_files, about_latency, about_majority, about_scale, counted
from reports.mixed import about_mixture
from reports.points import Point
from reports.readable import in_points, plural, signed
from reports.records import Run


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
        text = "There is no difference that matters between {} and {}: {} points of accuracy ({}); the whole interval "
        text += "lies within {} of zero."
        return Markup(text).format(arm, baseline, signed(contrast.mean), evidence, in_points(margin or 0.0))
    text = "Whether {} is better or worse than {} cannot be told yet: {} points of accuracy ({}). {}"
    return Markup(text).format(arm, baseline, signed(contrast.mean), evidence, _way_out(contrast))


def _evidence(contrast: Contrast) -> str:
    parts = [plural(contrast.num_pairs, "paired seed")]
    if contrast.interval is not None:
        parts.insert(0, f"95 % interval {interval_text(contrast)}")
    if contrast.p_holm is not None:
        parts.append(f"p = {p_text(contrast.p_holm)}")
    if contrast.lost:
        parts.append(f"{plural(len(contrast.lost), 'pair')} lost")
    return ", ".join(parts)


def _beyond(contrast: Contrast, margin: float | None) -> str:
    """Whether a difference that is there is also as large as what matters."""
    if margin is None or contrast.interval is None:
        return ""
    nearest = min(abs(end) for end in contrast.interval)
    if nearest >= margin:
        return f", all of the interval beyond the {in_points(margin)} that would matter"
    return f"; whether by the {in_points(margin)} that would matter is open"


def _way_out(contrast: Contrast) -> str:
    if contrast.num_pairs < SMALLEST_NUM_PAIRS:
        text = f"No verdict is possible below {SMALLEST_NUM_PAIRS} paired seeds"
        return f"{text}; {contrast.forecast} might settle it." if contrast.deviation is not None else f"{text}."
    return f"{contrast.forecast.capitalize()} would probably settle it."


def rule(run: Run, contrasts: Sequence[Contrast]) -> str:
    """The rule of the verdicts in words, with this study's numbers."""
    margin, num_arms = margin_of(run.study), len(primary(contrasts))
    held = "" if num_arms < 2 else f", adjusted by Holm over {num_arms} arms,"
    text = "Declared before the runs: "
    if margin is not None:
        text += f'"no difference that matters" where the whole interval lies within {in_points(margin)} of zero; else '
    text += f'"better" or "worse" where the sign-flip p{held} is at most {LEVEL:g}; else "cannot tell". '
    text += "The interval (95 % or a little more) holds every mean that the exact sign-flip test does not reject. "
    text += (
        "Detectable is the true difference that these pairs would find in 4 of 5 studies, given the spread seen here"
    )
    return text + (" and Holm's strictest step." if num_arms > 1 else ".")


def exploration() -> str:
    """What stands in the place of the rule where claims are judged instead of arms."""
    text = (
        "Intervals are at 95 % of each difference alone, p is not adjusted, and there are no verdicts: judged are the "
    )
    return text + "claims above. Detectable is the true difference that these pairs would find in 4 of 5 studies."


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
    found += [*about_divergence(run), *about_files(run), *about_mixture(run)]
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
        text = "<strong>Too few pairs for any verdict.</strong> With {} the sign-flip p cannot go below {:.2g}, and no "
        text += "95 % interval is finite; at least {} are needed."
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
        said = Markup(text).format(len(contrast.lost), total, contrast.arm, lost_text(contrast.lost))
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
