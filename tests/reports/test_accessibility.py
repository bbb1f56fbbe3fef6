"""Pages in a real browser: axe-core finds nothing, and no page is wider than a phone."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.book import write_book
from reports.comparison.answer import answer
from reports.comparison.page import write_recommendation
from search.claim import beats
from search.paper_table import PaperTable
from search.values import to_json

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
ARMS = {"bare": [70.0, 71.0, 72.5, 70.5, 69.0, 71.5], "transfer": [74.0, 75.0, None, 76.0, 73.5, 75.0]}

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def book(synthetic: Any, claimed: Any, tmp_path: Path) -> Path:
    """A book of an ablation with claims and the paper's table, and of a search; beside it a recommendation."""
    paper = PaperTable(source="Table 9", columns=("MNLI-m",), rows=(("bare", (80.8,)), ("transfer", (84.4,))))
    helps, hurts = beats("transfer", "bare"), beats("bare", "transfer")
    claims = [claimed.make_claim("helps", helps), claimed.make_claim("hurts", hurts)]
    study = claimed.make_study(synthetic, claims, ARMS, 6, paper=to_json([paper])) | {"study": "ladder", "scale": "cpu"}
    runs = [synthetic.write_run(tmp_path / "ladder-cpu", study, claimed.make_records(synthetic, ARMS))]
    runs.append(synthetic.write_run(tmp_path / "search-cpu", synthetic.make_study(), synthetic.make_search()))
    folder = write_book(runs, tmp_path / "book").parent
    write_recommendation(answer([str(runs[0])], cap_ms=20.0), folder / "recommendation.html", "thinbert compare")
    return folder


@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_violation_and_nothing_is_wider_than_the_screen(browser: Any, book: Path, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    pages = [
        book / "index.html",
        book / "methods.html",
        book / "recommendation.html",
        *sorted(book.glob("*/index.html")),
    ]
    assert len(pages) == 5
    for path in pages:
        page = browser.new_page(viewport={"width": width, "height": 900}, java_script_enabled=True)
        page.goto(path.as_uri())
        found = [(one["id"], one["nodes"][0]["html"]) for one in axe.run(page).response["violations"]]
        assert found == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate("document.scripts.length") == 0, "a page works without JavaScript"
        page.close()
