"""What the trials say of one item against another: one sentence in plain words, as plain text."""

from reports.comparison.pairs import Pair
from reports.comparison.subjects import printable
from reports.contrast import SMALLEST_NUM_PAIRS, Contrast
from reports.contrast_tables import interval_text, lost_text, p_text
from reports.readable import in_points, percent, plural, signed


def sentence(pair: Pair) -> str:
    """Accuracy first, then latency; what cannot be told is said so, with what these seeds could have shown."""
    said = printable(f"{_accuracy(pair)}; {_latency(pair)}.")
    is_name = said.startswith((pair.subject.name, pair.against.name))
    return said if is_name else said[:1].upper() + said[1:]


def ratio_text(value: float) -> str:
    """A ratio with three significant digits.

    >>> ratio_text(0.6183), ratio_text(3.634)
    ('0.618', '3.63')
    """
    return f"{value:.3g}"


def limits(pairs: tuple[Pair, ...]) -> list[str]:
    """What holds of every sentence here, in words."""
    tested = [pair for pair in pairs if pair.accuracy is not None and not pair.is_same]
    if not tested:
        return []
    found = [
        "Differences are taken inside a seed; the interval holds every mean that the exact sign-flip test does not "
        "reject at 5 %. Seeds are the only thing that was repeated: data, recipes and sizes are those of these runs."
    ]
    if len(tested) > 1:
        found.append(f"p is adjusted by Holm over the {len(tested)} pairs of this comparison; intervals are not.")
    claiming = [one.source.run for pair in tested for one in (pair.subject, pair.against) if one.source]
    if any(run.study.get("claims") for run in claiming):
        found.append(
            "Claims that were declared before the runs are judged on the runs' own pages; this comparison was asked "
            "afterwards."
        )
    if any(pair.margin is None for pair in tested):
        found.append(
            "No one smallest difference that matters was declared for all, so that a small difference is not said to "
            "be none."
        )
    return found


def _accuracy(pair: Pair) -> str:
    one, other, found = pair.subject.name, pair.against.name, pair.accuracy
    if not pair.is_trained:
        gone = [item.name for item in (pair.subject, pair.against) if not item.records]
        verb = "was" if len(gone) == 1 else "were"
        return f"{' and '.join(gone)} {verb} not trained here, so nothing is said of the accuracy of {one} and {other}"
    if pair.is_same:
        return f"{one} and {other} are the same trials"
    if pair.not_paired:
        return f"{one} and {other} are not compared in accuracy, their seeds are no pairs: {pair.not_paired}"
    assert found is not None
    if not pair.shared_seeds:
        return f"nothing can be said of the accuracy of {one} against {other}: they share no seed, so there is no pair"
    if found.mean is None:
        lost = f" ({lost_text(found.lost)})" if found.lost else ""
        return f"nothing can be said of {one} against {other}: of {_shared(pair)} none has a result in both{lost}"
    if found.verdict in ("better", "worse"):
        size = f"{abs(found.mean):.1f} points of accuracy ({_evidence(pair, found)})"
        return f"{one} is {found.verdict} than {other} by {size}{_beyond(found, pair.margin)}"
    if found.verdict == "no difference that matters":
        text = f"there is no difference that matters between {one} and {other}: {signed(found.mean)} points of accuracy"
        return f"{text} ({_evidence(pair, found)}), all of the interval within {in_points(pair.margin or 0.0)} of zero"
    return (
        f"whether {one} is better or worse than {other} cannot be told: {signed(found.mean)} points of accuracy "
        f"({_evidence(pair, found)}), {_detectable(found)}"
    )


def _shared(pair: Pair) -> str:
    return plural(len(pair.shared_seeds), "shared seed")


def _evidence(pair: Pair, found: Contrast) -> str:
    seeds = plural(found.num_pairs, "shared seed")
    if found.interval is None:
        parts = [f"{seeds}, so no interval, which needs {SMALLEST_NUM_PAIRS}"]
    else:
        parts = [f"95 % interval {interval_text(found)}", seeds, f"p = {p_text(found.p_holm)}"]
    if found.lost:
        parts.append(f"{plural(len(found.lost), 'pair')} lost: {lost_text(found.lost)}")
    if pair.num_unshared:
        parts.append(f"{plural(pair.num_unshared, 'seed')} of one alone left out")
    return ", ".join(parts)


def _detectable(found: Contrast) -> str:
    if found.num_pairs < 2:
        return "and one seed shows nothing of its noise"
    if found.num_pairs < SMALLEST_NUM_PAIRS:
        return f"and {found.num_pairs} seeds cannot show an effect of any size"
    if found.detectable is None:
        return f"and no smallest detectable effect is known: {found.why_not}"
    more = f", {found.forecast} would probably settle it" if found.more_seeds is not None else ""
    return f"and the smallest effect that they would show in 4 of 5 studies is {percent(found.detectable)} points{more}"


def _beyond(found: Contrast, margin: float | None) -> str:
    """Whether a difference that is there is also as large as what matters."""
    if margin is None or found.interval is None:
        return ""
    if min(abs(end) for end in found.interval) >= margin:
        return f", all of the interval beyond the {in_points(margin)} that would matter"
    return f", whether by the {in_points(margin)} that would matter is open"


def _latency(pair: Pair) -> str:
    found, name = pair.latency, pair.subject.name
    if found.same_encoder:
        return "both are the same encoder, so they take the same time"
    if found.ratio is None:
        return f"no latency ratio is given: {found.reason}"
    text = f"{name} takes {ratio_text(found.ratio)} x the time"
    if found.interval is None:
        return f"{text} ({found.basis}, no interval)"
    low, high = found.interval
    word = "faster" if high < 1 else "slower" if low > 1 else "which is faster cannot be told"
    return f"{text}, {word} (95 % interval {ratio_text(low)} to {ratio_text(high)}, {found.basis})"
