"""Each figure on the axes of whoever asks, from a path, a Run or a frame."""

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.contrast import contrasts
from reports.figures.claims import plot_claims
from reports.figures.contrast import plot_contrasts, plot_task_contrasts
from reports.figures.curves import plot_curves
from reports.figures.front import plot_front, plot_size
from reports.figures.importance import plot_importance
from reports.figures.latency import plot_latency
from reports.points import points
from reports.reading import read_run
from reports.records import baseline_of
from reports.table import claims, curves, knobs, trials
from search.claim import beats

EVIL = "$x_{ <script>alert(1)</script>"


@pytest.fixture
def ax():
    figure = Figure(figsize=(14, 7), layout="constrained")  # room for the longest name whatever the font
    FigureCanvasAgg(figure)
    return figure.subplots(1, 2)[0]


@pytest.fixture(scope="module")
def ablation(synthetic, claimed, tmp_path_factory):
    """Two arms beside the baseline, one with a hostile name, and a claim in points and one in ms."""
    effects = {"bare": 0.0, "transfer": 3.0, EVIL: 0.2}
    records = synthetic.make_ablation(effects, num_seeds=6)
    claim = [
        claimed.make_claim("helps", beats("transfer", "bare")),
        claimed.make_claim("costs", beats("transfer", "bare", metric="latency_ms"), margin=0.1),
    ]
    study = {**synthetic.make_ablation_study(tuple(effects), 6)}
    judged = claimed.make_study(synthetic, claim, effects, 6)
    folder = tmp_path_factory.mktemp("runs")
    return synthetic.write_run(folder / "plain", study, records), synthetic.write_run(
        folder / "claims", judged, records
    )


def drawn(axes):
    """Every text and every position that the axes show."""
    texts = [text.get_text() for text in axes.texts] + [label.get_text() for label in axes.get_yticklabels()]
    places = [np.asarray(mark.get_offsets()).tolist() for mark in axes.collections]
    return texts, places, [np.asarray(line.get_xydata()).tolist() for line in axes.lines]


@pytest.mark.parametrize(
    ("plot", "table"),
    [
        (plot_front, trials),
        (plot_size, trials),
        (plot_latency, trials),
        (plot_curves, curves),
        (plot_importance, knobs),
    ],
)
def test_path_run_and_frame_of_a_search_are_drawn_on_the_axes_given(search_run, ax, plot, table):
    more = {"stage": "distillation"} if plot is plot_curves else {}
    for source in (search_run, str(search_run), read_run(search_run), table(search_run)):
        assert plot(source, ax=ax, **more) is ax
    assert ax.get_legend() is not None and ax.get_xlabel()
    assert not ax.figure.axes[1].has_data() and ax.figure.get_layout_engine() is not None


@pytest.mark.parametrize("plot", [plot_front, plot_size])
def test_a_front_from_a_frame_has_the_dots_of_that_from_the_run(search_run, plot):
    found = []
    for source in (search_run, trials(search_run)):
        axes = plot(source)
        found.append(sorted(place for mark in axes.collections for place in np.asarray(mark.get_offsets()).tolist()))
    np.testing.assert_allclose(found[0], found[1])
    run = read_run(search_run)
    number = len(points(list(run.records), baseline_of(run.study)))
    assert len(found[0]) >= number


def test_contrasts_from_a_frame_show_the_differences_of_the_run(ablation, ax):
    run, _ = ablation
    axes = plot_contrasts(trials(run), ax=ax)
    judged = contrasts(read_run(run).records, read_run(run).study)
    shown = [np.asarray(mark.get_offsets())[:, 0].tolist() for mark in axes.collections]
    wanted = [list(one.differences) for one in judged if one.metric == "accuracy"]
    np.testing.assert_allclose(shown[0], np.concatenate(wanted))  # the dots of all arms are one mark
    assert axes.get_yticklabels()[0].get_text() == "transfer" and not axes.texts  # without a rule no verdict


def test_the_margin_is_the_studys(ablation, ax):
    run, _ = ablation
    labels = [text.get_text() for text in plot_contrasts(run, ax=ax).get_legend().get_texts()]
    assert "within 1 point: too little to matter" in labels and labels.count("one seed") == 1


def test_tasks_are_drawn_for_the_arm_that_is_named(ablation, ax):
    run, _ = ablation
    axes = plot_task_contrasts(run, arm="transfer", ax=ax)
    assert len(axes.get_yticklabels()) == 5 and axes.get_title(loc="left") == "transfer"
    with pytest.raises(ValueError, match=r"arm must be one of 'transfer', .* got None"):
        plot_task_contrasts(run)


def test_claims_are_drawn_by_unit_and_from_their_frame(ablation, ax):
    _, run = ablation
    assert plot_claims(run, unit="points", ax=ax) is ax
    plot_claims(claims(run), unit="ms", ax=ax)
    with pytest.raises(ValueError, match="unit must be one of 'points', 'ms', got None"):
        plot_claims(run)


def test_curves_of_an_ablation_colour_the_first_seed_of_each_arm(ablation, ax):
    run, _ = ablation
    for source in (run, curves(run)):
        labels = [text.get_text() for text in plot_curves(source, stage="distillation", ax=ax).get_legend().get_texts()]
        assert {"bare", "transfer", "other trials"} <= set(labels)
        ax.clear()
    with pytest.raises(ValueError, match=r"stage must be one of 'knowledge transfer', 'distillation', .* got 'nap'"):
        plot_curves(run, stage="nap")


def test_hostile_names_are_drawn_as_text(ablation, ax):
    run, _ = ablation
    for plot in (plot_front, plot_latency, plot_contrasts):
        plot(run, ax=ax)
        ax.figure.draw_without_rendering()
        ax.clear()


def test_what_cannot_be_drawn_is_an_error_that_says_why(synthetic, tmp_path, search_run):
    empty = synthetic.write_run(tmp_path / "empty", synthetic.make_study(), [])
    for plot in (plot_front, plot_size):
        with pytest.raises(ValueError, match="a front is drawn of trials with accuracy and latency_ratio, got none in"):
            plot(empty)
    with pytest.raises(ValueError, match="a figure of latency needs trials with an interval of latency_ratio"):
        plot_latency(empty)
    with pytest.raises(ValueError, match="bars need knobs that were varied in enough trials, got too few trials"):
        plot_importance(empty)
    for plot, what in ((plot_contrasts, "arm"), (plot_claims, "unit"), (plot_curves, "stage")):
        with pytest.raises(ValueError, match=f"a figure by {what} needs one, got a run without any"):
            plot(empty)


def test_without_axes_a_figure_of_its_own_is_made_and_no_setting_stays(search_run):
    before = dict(matplotlib.rcParams)
    axes = plot_front(search_run)
    assert axes.figure.axes == [axes] and dict(matplotlib.rcParams) == before
