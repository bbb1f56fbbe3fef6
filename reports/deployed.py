"""What deploying cost the networks of a search whose accuracies are those of a deployed form, in sentences."""

from statistics import fmean

from markupsafe import Markup

from reports.form import scored_form
from reports.readable import plural, signed
from reports.records import Record, Run, value_of


def about_form(run: Run) -> list[Markup]:
    """What scored the accuracies, and how far that is from what training scored; nothing where training scored them."""
    form = scored_form(run.study)
    if not form:
        return []
    text = "<strong>Accuracy is that of {}</strong>, the form that is timed: what the exported network scores in ONNX "
    text += "Runtime. The teacher's is as trained."
    found = Markup(text).format(form)
    changed = [change for record in run.records if (change := _change(record)) is not None]
    if changed:
        more = " Against the same networks as trained, in float32, that is {} points on average over {} ({} to {})."
        average, low, high = (signed(value) for value in (fmean(changed), min(changed), max(changed)))
        found += Markup(more).format(average, plural(len(changed), "trial"), low, high)
    unscored = [record for record in run.records if "unscored" in record["provenance"]]
    if unscored:
        found += Markup(" {} could not be scored so and {} no accuracy here.").format(
            plural(len(unscored), "trial"), "has" if len(unscored) == 1 else "have"
        )
    return [found]


def _change(record: Record) -> float | None:
    deployed, trained = value_of(record, "accuracy", "test"), value_of(record, "trained/accuracy", "test")
    return None if deployed is None or trained is None else deployed - trained
