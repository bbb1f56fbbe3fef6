"""The page for someone who has to decide: what it says, that nothing hostile gets in, that it prints on one sheet."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from studies.command_line import main

EVIL = '=evil <script>alert(1)</script> & "quoted" \x1b[31m'
BROWSER = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)


@pytest.fixture
def run(synthetic: Any, tmp_path: Path) -> Path:
    effects = {"bare": 0.0, "transfer": 3.0, EVIL: 0.2}
    study = synthetic.make_ablation_study(tuple(effects))
    return Path(synthetic.write_run(tmp_path / "ladder-cpu", study, synthetic.make_ablation(effects)))


@pytest.fixture
def page(run: Path) -> str:
    path = run.parent / "page.html"
    assert main(["compare", str(run), "--cap", "20ms", "--out", str(path)]) == 0
    return path.read_text(encoding="utf-8")


class Texts(HTMLParser):
    """Texts of a page in order, styles left out, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip() and self.tags[-1] != "style":
            self.texts.append(" ".join(data.split()))


def test_the_recommendation_comes_first_and_what_it_rests_on_follows(page: str) -> None:
    texts = Texts(page).texts
    assert texts[texts.index("Recommendation") + 1].startswith("Under a cap of 20 ms take transfer: with ")
    heads = ["The evidence", "What changed", "What was not measured", "How to repeat it"]
    assert [text for text in texts if text in heads] == heads
    assert "<svg" in page and "Differences inside each seed" in page
    assert any(text.startswith("transfer is better than bare by ") for text in texts)
    assert any(
        text.startswith("Times are medians of one forward pass (eager, cpu, 1 thread, 32 x 64") for text in texts
    )
    assert any(re.match(r"bare: 0 [0-9a-f]{16}, 1 ", text) for text in texts)


def test_hostile_names_are_shown_and_not_run_and_no_place_on_a_disk_is_named(page: str, run: Path) -> None:
    parsed = Texts(page)
    assert not {"script", "link", "iframe", "img", "object"} & set(parsed.tags)
    assert "<script" not in page and "http" not in page and "\x1b" not in page and str(run.parent) not in page
    assert any(text.startswith("=evil <script>alert(1)<") for text in parsed.texts)
    assert "thinbert compare .../ladder-cpu --cap 20ms --out .../page.html" in parsed.texts


def test_hostile_names_do_not_steer_the_terminal(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(run)]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text and '"quoted" ?[31m' in text


def test_one_seed_a_preset_and_presets_alone_have_a_page_too(run: Path) -> None:
    path = run.parent / "few.html"
    assert main(["compare", f"{run}:0000", f"{run}:0001", "mobilebert", "--out", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert "1 shared seed, so no interval" in text
    assert "mobilebert: its accuracy and its latency (it was not trained; it was not measured" in text
    assert main(["compare", "mobilebert", "bert-base", "--out", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert "None of these was trained and scored here, so nothing is recommended." in text and "<svg" not in text


def test_two_runs_are_paired_arm_by_arm_on_the_page(run: Path, synthetic: Any) -> None:
    study = synthetic.make_ablation_study(("bare", "transfer"))
    records = synthetic.make_ablation({"bare": 1.0, "transfer": 3.5})
    for record in records:
        record["fingerprint"] = f"ff{record['fingerprint'][2:]}"
    other = synthetic.write_run(run.parent / "again-cpu", study, records)
    path = run.parent / "both.html"
    assert main(["compare", str(run), str(other), "--out", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert "the item minus the same arm of ladder-cpu" in text
    assert "no counterpart in the other run." in text


def test_the_same_items_give_the_same_page(page: str, run: Path) -> None:
    assert main(["compare", str(run), "--cap", "20ms", "--out", str(run.parent / "page.html")]) == 0
    assert (run.parent / "page.html").read_text(encoding="utf-8") == page


def test_a_full_disk_leaves_no_half_page(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("reports.comparison.page.write_whole", full)
    assert main(["compare", str(run), "--out", str(run.parent / "page.html")]) == 2
    assert not (run.parent / "page.html").exists()


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_it_prints_on_one_sheet(page: str, run: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        sheet = browser.new_page(java_script_enabled=False)
        sheet.goto((run.parent / "page.html").as_uri())
        printed = sheet.pdf(prefer_css_page_size=True)
        browser.close()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1


def test_the_page_and_the_document_say_the_same(page: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["compare", str(run), "--cap", "20ms", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    texts = Texts(page).texts
    assert found["recommendation"]["sentence"] in texts
    for pair in found["pairs"]:
        assert pair["sentence"] in texts
        assert f"{pair['accuracy']['mean']:+.1f}" in texts
