from reports.figures.latency import LatencyInfo, LatencyPoint, draw_latency


def test_every_encoder_has_a_row_every_runtime_a_colour_and_the_axis_starts_at_zero():
    points = tuple(
        LatencyPoint(name=name, case=case, ratio=ratio, low=0.9 * ratio, high=1.1 * ratio)
        for name, ratio in (("bert-tiny", 1.0), ("bert-mini", 6.0))
        for case in ("eager", "compile")
    )
    figure = draw_latency(LatencyInfo(points=points, reference="bert-tiny"))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["bert-tiny", "bert-mini"]
    assert len(axes.containers) == 2 and axes.get_xlim()[0] == 0.0
    assert axes.get_xlabel() == "time relative to bert-tiny (95 % interval)"
