import pytest

from reports.contrast import contrasts
from reports.figures.contrast import _stacked, contrast_info, draw_contrasts, task_contrast_info
from reports.figures.style import to_svg

ARMS = {"bare": 0.0, "transfer": 2.0, "no <b> $x": 0.0, "lost": 0.0}


@pytest.fixture(scope="module")
def judged(synthetic):
    records = synthetic.make_ablation(ARMS, 8)
    for record in records:
        arm, seed = record["trials"][0]["arm"], record["spec"]["seed"]
        if arm == "lost" or (arm == "transfer" and seed == 3):
            record["status"] = "diverged"
    return contrasts(records, synthetic.make_ablation_study(tuple(ARMS)))


def test_the_info_has_a_row_per_arm_with_pairs(judged):
    info = contrast_info(judged, 1.0)
    (panel,) = info.panels
    assert [row.label for row in panel.rows] == ["transfer", "no <b> $x"]
    assert [len(row.differences) for row in panel.rows] == [7, 8] and panel.rows[0].num_lost == 1
    assert (info.baseline, info.metric, info.margin) == ("bare", "accuracy", 1.0)
    assert panel.rows[0].mean == judged[0].mean and panel.rows[0].interval == judged[0].interval


def test_tasks_have_a_panel_per_arm_and_no_margin(judged):
    info = task_contrast_info(judged)
    assert [panel.title for panel in info.panels] == ["transfer", "no <b> $x"] and info.margin is None
    assert [row.label for row in info.panels[0].rows] == ["agreement", "negation", "roles", "topic pair", "where"]
    assert not any(row.verdict for panel in info.panels for row in panel.rows)


@pytest.mark.parametrize("narrow", [False, True])
def test_it_draws_what_it_is_told(judged, narrow):
    text = to_svg(draw_contrasts(contrast_info(judged, 1.0), narrow=narrow), "c", "t", "d")
    assert "transfer" in text and ", 1 lost" in text and "within 1 point" in text and "<b>" not in text
    assert text == to_svg(draw_contrasts(contrast_info(judged, 1.0), narrow=narrow), "c", "t", "d")
    assert "(1 lost)" in to_svg(draw_contrasts(task_contrast_info(judged), narrow=narrow), "c", "t", "d")


def test_too_few_pairs_are_drawn_without_an_interval(synthetic):
    study = synthetic.make_ablation_study(num_seeds=2)
    for effect in (2.0, 0.0):
        found = contrasts(synthetic.make_ablation({"bare": 0.0, "transfer": effect}, 2, noise=effect), study)
        assert "no finite interval" in to_svg(draw_contrasts(contrast_info(found, None)), "c", "t", "d")


def test_nothing_to_show_has_no_panels():
    assert contrast_info((), 1.0).panels == () and task_contrast_info(()).panels == ()


def test_dots_that_would_cover_each_other_are_set_apart():
    assert _stacked((1.0, 5.0, 1.01, 1.02), 0.1) == pytest.approx([0.0, 0.0, 0.1, 0.2])


def test_of_hundreds_of_arms_the_first_are_drawn_and_the_others_counted(synthetic):
    arms = {f"arm {number}": 0.0 for number in range(45)}
    study = synthetic.make_ablation_study(tuple(arms), 2) | {"claims": ["judged instead of arms"]}
    found = contrasts(synthetic.make_ablation(arms, 2), study)
    info, tasks = contrast_info(found, None), task_contrast_info(found)
    assert (len(info.panels[0].rows), info.num_left_out) == (40, 4)
    assert (len(tasks.panels), tasks.num_left_out) == (16, 28)
