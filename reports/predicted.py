"""Where the latencies that a search saw and those measured at its end differ: in sentences."""

from statistics import fmean

from markupsafe import Markup

from reports.points import configuration_key, configurations_of
from reports.readable import plural, ratio
from reports.records import Record, Run, find_measurement, interval_of, value_of


def about_prediction(run: Run) -> list[Markup]:
    """How predicted ratios meet measured ones; nothing for a run whose latencies were all measured."""
    predicted = [record for record in run.records if _is_predicted(record)]
    if not predicted:
        return []
    checked = [record for record in predicted if value_of(record, "measured_latency_ratio") is not None]
    if not checked:
        text = "<strong>Latency is predicted</strong> by a device profile for all {}; none was measured."
        return [Markup(text).format(plural(len(predicted), "trial"))]
    outside = [record for record in checked if not _inside(record)]
    error = fmean(abs(_change(record)) for record in checked)
    text = (
        "<strong>Latency is predicted</strong> by a device profile; of the front and the baseline, which were measured "
        "at the end, {} of {} lie inside the predicted 95 % interval, and the prediction is off by {} % on average"
    )
    found = Markup(text).format(len(checked) - len(outside), len(checked), f"{100 * error:.1f}")
    if not outside:
        return [found + "."]
    return [found + Markup("; outside are {}.").format(_listed(run, outside, "predicted"))]


def about_second_session(run: Run) -> list[Markup]:
    """How the latencies that the search measured meet those of the session at its end; nothing where there was none.

    Two measurements differ where their 95 % intervals do not overlap.
    """
    twice = [
        record
        for record in run.records
        if not _is_predicted(record) and value_of(record, "measured_latency_ratio") is not None
    ]
    if not twice:
        return []
    apart = [record for record in twice if _apart(record)]
    error = fmean(abs(_change(record)) for record in twice)
    text = (
        "<strong>Latency was measured twice</strong> for the front and the baseline, in the search and in one session "
        "at its end: the ratios differ by {} % on average, the 95 % intervals overlap for {} of {}"
    )
    found = Markup(text).format(f"{100 * error:.1f}", len(twice) - len(apart), len(twice))
    return [found + (Markup("; apart are {}.").format(_listed(run, apart, "first")) if apart else ".")]


def _listed(run: Run, records: list[Record], before: str) -> str:
    named = configurations_of(run).names
    return "; ".join(
        f"{named[configuration_key(record['spec'])]}: {before} {ratio(value_of(record, 'latency_ratio'))} x, measured "
        f"{ratio(value_of(record, 'measured_latency_ratio'))} x"
        for record in records
    )


def _is_predicted(record: Record) -> bool:
    found = find_measurement(record, "latency_ratio")
    return found is not None and found["conditions"].get("source") == "predicted"


def _change(record: Record) -> float:
    predicted, measured = value_of(record, "latency_ratio"), value_of(record, "measured_latency_ratio")
    assert predicted is not None and measured is not None
    return predicted / measured - 1


def _inside(record: Record) -> bool:
    bounds, measured = interval_of(record, "latency_ratio"), value_of(record, "measured_latency_ratio")
    return bounds is not None and measured is not None and bounds[0] <= measured <= bounds[1]


def _apart(record: Record) -> bool:
    first, second = interval_of(record, "latency_ratio"), interval_of(record, "measured_latency_ratio")
    return first is not None and second is not None and (first[1] < second[0] or second[1] < first[0])
