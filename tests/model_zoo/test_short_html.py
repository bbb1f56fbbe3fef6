"""The short HTML forms of configs and costs in a notebook."""

import re
import subprocess
import sys

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.config import EncoderConfig
from model_zoo.cost import cost
from model_zoo.presets import mobilebert
from model_zoo.short_html import LONGEST, short_table


def cells(html: str) -> dict[str, list[str]]:
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', html)
    return {name: re.findall(r"<td>(.*?)</td>", rest) for name, rest in rows}


def test_a_config_shows_what_is_away_from_its_default_and_what_it_costs() -> None:
    found = cells(mobilebert()._repr_html_())
    assert found["num_layers"] == ["24"] and found["norm"] == ["no_norm"]
    assert "trigram" not in found and "vocab_size" not in found
    assert found["parameters"] == [f"{cost(mobilebert()).parameters:,}"]
    assert found["FLOPs, 128 tokens"] == [f"{cost(mobilebert()).flops:,}"]


def test_code_of_ones_own_is_named_and_not_run() -> None:
    named = "my_ffn:Gated@" + 16 * "0"
    config = EncoderConfig(
        num_layers=1, hidden_size=16, bottleneck_size=16, num_heads=1, feed_forward_size=16, embedding_size=16,
        feed_forward=named,
    )  # fmt: skip
    found = cells(config._repr_html_())
    assert found["feed_forward"] == [named] and "cost()" in found["parameters, FLOPs"][0]


def test_a_bilstm_and_a_cost_have_theirs() -> None:
    assert cells(BiLSTMConfig(num_outputs=3)._repr_html_())["num_outputs"] == ["3"]
    found = cells(cost(mobilebert())._repr_html_())
    assert found["together"][0] == "25,359,104" and "attention" in found


def test_every_text_is_escaped_and_long_ones_are_cut() -> None:
    html = short_table("<b>", [("<i>", "&", 500 * "x")], ("<u>", '"a"', "c"))
    assert not re.search(r"<[biu]>", html) and "&amp;" in html and "&quot;a&quot;" in html
    assert f"<td>{(LONGEST - 3) * 'x'}...</td>" in html


def test_the_form_of_a_config_imports_nothing_heavy() -> None:
    code = "import sys; from model_zoo.presets import mobilebert; mobilebert()._repr_html_(); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
