"""RESULTS.md says what the committed pages of the cpu-scale run say, number for number."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "gallery/paper-cpu"
TEXT = (ROOT / "RESULTS.md").read_text()
CLAIMS = {row["claim"]: row for row in json.loads((BOOK / "claims.json").read_text())}


def section(text: str, heading: str) -> str:
    return text[text.index(heading) :].split("\n## ")[0].strip()


def test_the_table_of_conclusions_is_the_books() -> None:
    heading = "## The paper's conclusions"
    book = (BOOK / "results.md").read_text()
    assert section(TEXT, heading) == section(book, heading)
    assert book.split("\n")[2] in " ".join(TEXT.split())
    assert len(re.findall(r"^\| \d+ \|", TEXT, re.M)) == 11


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("thin-beats-shallow", "{effect:.1f} points above DistilBERT of the same size ({low:.1f} to {high:.1f})"),
        ("mobilebert-beats-pkd", "({effect:.1f}, {low:.1f} to {high:+.1f})"),
        ("ib-bert-as-good-as-bert-large", "it is {effect:.1f} points above ({low:.1f} to {high:.1f})"),
        ("the-teacher-stays-above", "stays below its teacher ({effect:.1f}, {low:.1f} to {high:.1f})"),
        ("h-inter-below-512-costs", "costs {effect:.1f} points"),
        ("h-inter-512-costs-nothing", "costs {less:.1f} here ({least:.1f} to {most:.1f})"),
        ("distillation-gains", "{effect:+.1f}"),
        ("feature-maps-gain", "{effect:+.1f}"),
        ("attention-gains", "{effect:+.1f}"),
        ("mobilebert-loses-at-most-half-a-point", "{least:.1f} points"),
    ],
)
def test_every_number_of_the_prose_is_a_record(claim: str, said: str) -> None:
    row = CLAIMS[claim]
    effect, low, high = (float(row[name]) for name in ("effect", "low", "high"))
    values = {"effect": effect, "low": low, "high": high, "less": -effect, "least": -high, "most": -low}
    if claim.startswith("mobilebert-loses"):
        values["least"] = -low
    assert said.format(**values) in " ".join(TEXT.split()), said.format(**values)


def test_latency_savings_are_per_cent_of_the_records() -> None:
    saved = [
        100 * float(CLAIMS[name]["effect"])
        for name in ("no-norm-saves-latency", "relu-saves-latency", "flops-do-not-predict-latency")
    ]
    nonorm, relu, both = (f"{value:.0f} %" for value in saved)
    assert f"NoNorm saves {nonorm} of the slowest form's latency, relu {relu}, both {both}" in " ".join(TEXT.split())
