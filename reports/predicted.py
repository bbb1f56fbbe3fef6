"""Where a search's predicted latencies and the real ones, measured at its end, differ: in sentences."""

from statistics import fmean

from markupsafe import Markup

from reports.points import configuration_key, names
from reports.readable import plural, ratio
from reports.records import Record, Run, baseline_of, find_measurement, interval_of, value_of


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
    named = names(list(run.records), baseline_of(run.study))
    listed = [
        f"{named[configuration_key(record['spec'])]}: predicted {ratio(value_of(record, 'latency_ratio'))} x, measured "
        f"{ratio(value_of(record, 'measured_latency_ratio'))} x"
        for record in outside
    ]
    return [found + Markup("; outside are {}.").format("; ".join(listed))]


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
