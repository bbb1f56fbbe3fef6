import re

import matplotlib
import pytest

from reports.figures.front import draw_scatter, front_info
from reports.figures.style import new_figure, shown, styled, to_png, to_svg
from reports.points import points


@pytest.fixture(scope="module")
def figure(synthetic):
    return draw_scatter(front_info(points(synthetic.make_search(8), synthetic.make_spec())))


def test_the_same_figure_gives_the_same_svg_without_a_date(figure, synthetic):
    again = draw_scatter(front_info(points(synthetic.make_search(8), synthetic.make_spec())))
    text = to_svg(figure, "front", "Title", "Words")
    assert text == to_svg(again, "front", "Title", "Words")
    assert "<metadata" not in text and "http" not in text and "<?xml" not in text


def test_ids_are_unique_over_figures_and_every_reference_is_resolved(figure):
    one, other = to_svg(figure, "one", "t", "d"), to_svg(figure, "two", "t", "d")
    ids = [re.findall(r'\bid="([^"]+)"', text) for text in (one, other)]
    assert len(set(ids[0])) == len(ids[0]) and not set(ids[0]) & set(ids[1])
    assert set(re.findall(r'href="#([^"]+)"', one)) | set(re.findall(r"url\(#([^)]+)\)", one)) <= set(ids[0])


def test_an_svg_is_an_image_with_escaped_title_and_description_and_text_as_text(figure):
    text = to_svg(figure, "x", "A <b> title", "a & b")
    assert text.startswith("<svg viewBox=") and 'role="img" aria-labelledby="x-title x-desc"' in text[:200]
    assert '<title id="x-title">A &lt;b&gt; title</title>' in text and "a &amp; b</desc>" in text
    assert re.search(r"<text[^>]*>baseline</text>", text)


def test_a_png_is_the_same_every_time(figure, tmp_path):
    to_png(figure, tmp_path / "a.png")
    to_png(figure, tmp_path / "b.png")
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG") and content == (tmp_path / "b.png").read_bytes()
    assert b"Matplotlib" not in content


def test_settings_are_put_back_after_drawing():
    before = dict(matplotlib.rcParams)
    with styled("x"):
        new_figure(2.0, narrow=False)
        assert matplotlib.rcParams["svg.fonttype"] == "none"
    assert dict(matplotlib.rcParams) == before


def test_text_that_a_font_lacks_is_replaced_and_long_text_cut():
    assert shown("caf\u00e9\n\u6587") == "caf\u00e9 ?"
    assert shown("x" * 60, 10) == "xxxxxxx..."
