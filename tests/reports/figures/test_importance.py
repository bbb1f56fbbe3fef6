import pytest

from reports.figures.importance import draw_importance, importance_info
from reports.figures.style import to_svg
from reports.importance import Importance, KnobImportance


def result(objective, *knobs, reason=""):
    return Importance(objective=objective, num_trials=30, knobs=tuple(knobs), reason=reason)


def knob(name, divergence):
    return KnobImportance(knob=name, divergence=divergence, share=0.5, chance=0.1)


def test_only_objectives_with_bars_are_kept():
    info = importance_info([result("accuracy", knob("num_heads", 0.3)), result("latency", reason="too few")])
    assert [kept.objective for kept in info.objectives] == ["accuracy"]


@pytest.mark.parametrize("narrow", [False, True])
def test_it_draws_knobs_in_words(narrow):
    both = [
        result("accuracy", knob("num_heads", 0.3), knob("a<b$", 0.0)),
        result("latency", knob("bottleneck_size", 0.0)),
    ]
    text = to_svg(draw_importance(importance_info(both), narrow=narrow), "i", "t", "d")
    assert "heads" in text and "accuracy (30 trials)" in text and "a&lt;b$" in text
