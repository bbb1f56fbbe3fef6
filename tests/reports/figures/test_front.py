import itertools

import pytest

from reports.figures.front import draw_scatter, front_info, size_info
from reports.figures.labels import Label, place_labels
from reports.figures.style import new_figure, styled, to_svg
from reports.points import points


@pytest.fixture
def found(synthetic):
    records = synthetic.make_search(12)
    return points([*records, *synthetic.make_confirmations(records)], synthetic.make_spec())


def test_the_front_is_numbered_from_the_fastest(found):
    info = front_info(found, teacher=86.0, majority=50.0, reference="mobilebert")
    numbered = [dot for dot in info.dots if dot.number]
    assert [dot.number for dot in numbered] == list(range(1, len(numbered) + 1))
    assert [dot.x for dot in numbered] == sorted(dot.x for dot in numbered)
    assert [dot.accuracy for dot in info.dots] == [point.accuracy for point in found]
    assert all(dot.search_accuracy is not None for dot in numbered)
    assert info.x_note == "1.0 = mobilebert, about 7.3 ms here"


def test_points_without_parameters_are_left_out_of_the_size_figure(synthetic):
    records = synthetic.make_search(3)
    records[0]["measurements"] = [m for m in records[0]["measurements"] if m["metric"] != "parameters"]
    info = size_info(points(records, synthetic.make_spec()))
    assert len(info.dots) == 2 and not any(dot.is_baseline for dot in info.dots)
    assert not info.log_x


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("lines", [(None, None), (86.0, 70.0), (500.0, 0.1)])
def test_it_draws_with_lines_near_far_and_absent(found, narrow, lines):
    teacher, majority = lines
    text = to_svg(draw_scatter(front_info(found, teacher=teacher, majority=majority), narrow=narrow), "f", "t", "d")
    assert ("teacher" in text) == ("majority" in text) == (teacher is not None)


def test_one_point_and_hostile_names_are_drawn(synthetic):
    spec = synthetic.make_spec()
    spec["student"]["norm"] = "$\\frac{<script>\u6587"
    found = points([synthetic.make_trial(0, spec)], synthetic.make_spec())
    text = to_svg(draw_scatter(front_info(found, reference="$x_{<b>")), "f", "t", "d")
    assert "<script" not in text and "<b>" not in text and "&lt;script&gt;?" in text


def test_labels_cover_neither_points_nor_each_other():
    with styled("x"):
        figure = new_figure(4.0, narrow=False)
        axes = figure.add_subplot()
        places = [(x, y) for x in (1.0, 1.2, 2.0, 3.0) for y in (1.0, 2.0)]
        axes.scatter(*zip(*places, strict=True))
        labels = [Label(x=x, y=y, text=f"a name of some length {i}", short=str(i)) for i, (x, y) in enumerate(places)]
        boxes = place_labels(axes, labels, places)
    for one, other in itertools.combinations(boxes, 2):
        beside = one.right <= other.left or other.right <= one.left
        assert beside or one.top <= other.bottom or other.top <= one.bottom
    for x, y in axes.transData.transform(places):
        assert not any(box.left < x < box.right and box.bottom < y < box.top for box in boxes)
