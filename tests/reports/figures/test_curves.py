import re

import pytest

from reports.figures.curves import MAX_PALE, MAX_STEPS, curves_info, draw_curves
from reports.figures.style import new_figure, styled, to_svg
from reports.points import points


def entry(stage, step, value, metric="loss"):
    return {"stage": stage, "step": step, "metric": metric, "value": value}


def test_phases_are_laid_end_to_end_and_tasks_have_panels_of_their_own(synthetic):
    record = synthetic.make_trial(0, synthetic.make_spec())
    record["curves"] = [
        entry("transfer-1", 10, 3.0),
        entry("transfer-1", 20, 2.0),
        entry("transfer-2", 10, 2.5),
        entry("distillation", 5, 9.0),
        entry("distillation", 5, 0.3, "accuracy"),
        entry("fine-tuning-agreement", 1, 1.0),
        entry("fine-tuning/roles", 1, 1.0),
        entry("pre-training", 4, 1.0),
        entry("something new", 1, 1.0),
    ]
    info = curves_info([record], points([record], synthetic.make_spec()))
    titles = [panel.title for panel in info.panels]
    assert titles == [
        "knowledge transfer", "distillation", "pre-training", "fine-tuning: agreement", "fine-tuning: roles",
        "something new",
    ]  # fmt: skip
    assert info.panels[0].curves[0].steps == (10, 20, 30) and info.panels[0].curves[0].values == (3.0, 2.0, 2.5)
    assert info.panels[1].metric == "loss"
    assert info.names == ("baseline (paper's ratios)",)


def test_steps_that_go_on_are_not_moved(synthetic):
    record = synthetic.make_trial(0, synthetic.make_spec())
    record["curves"] = [entry("transfer-1", 10, 3.0), entry("transfer-2", 20, 2.0)]
    assert curves_info([record], []).panels[0].curves[0].steps == (10, 20)


def test_many_trials_and_long_curves_are_thinned_and_counted(synthetic):
    records = [synthetic.make_trial(number, synthetic.make_spec()) for number in range(2 * MAX_PALE)]
    for record in records:
        record["curves"] = [entry("distillation", step, 1.0) for step in range(3 * MAX_STEPS)]
    info = curves_info(records, [])
    assert (info.num_pale, info.num_left_out) == (MAX_PALE, MAX_PALE)
    assert all(len(curve.steps) <= MAX_STEPS for curve in info.panels[0].curves)


@pytest.mark.parametrize("narrow", [False, True])
def test_it_draws(synthetic, narrow):
    records = synthetic.make_search(10)
    records[2]["curves"] = [entry("<b>$x", 1, 1.0)]
    figure = draw_curves(curves_info(records, points(records, synthetic.make_spec())), narrow=narrow)
    text = to_svg(figure, "c", "t", "d")
    assert "knowledge transfer" in text and "<b>" not in text


def test_coordinates_are_short_and_text_is_as_it_was() -> None:
    with styled("s"):
        figure = new_figure(2.0, narrow=True)
        axes = figure.add_subplot()
        axes.plot([0.0, 1.0 / 3.0, 1.0], [1.0 / 7.0, 2.0, 0.0])
        axes.set_title("loss 0.123456 at 1")
    text = to_svg(figure, "s", "0.7654321", "d")
    assert "loss 0.123456 at 1" in text and "0.7654321" in text
    inside = " ".join(re.findall(r' (?:d|x|y|transform)="([^"]*)"', text))
    assert re.search(r"\d\.\d\d\b", inside) and not re.search(r"\d\.\d{3}", inside)
