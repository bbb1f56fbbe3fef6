"""Hostile names through whole runs: pages, tables, the book and its Markdown show them and run none of them; nothing
that names a person, a place on a disk or a text of the corpus leaves a run folder."""

import csv
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from reports import page, page_figures
from reports.book import write_book
from reports.cleaning import clean
from reports.export import FORMULA_STARTS, disarm
from reports.results import escape
from search.claim import beats

NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=HYPERLINK(1)",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\uff1d1+1",
    "../../etc/passwd",
    "..\\..\\x",
    "a\nb\r=c\u2028d",
    "a|b\\|c",
    "[x](javascript:alert(1)) ![y](http://evil.example/z.png) `c` **d** _e_",
    "# heading",
    "{{ 7 * 7 }} {% raw %}",
    "<!-- --> ]]> &lt;b&gt; &#60;",
    "\u202egnp.exe",
)
SECRETS = (
    "/home/ada/private/notes.txt", "/Users/ada/x", "C:\\Users\\ada\\runs", "~ada/texts", "/srv/my data/ada/corpus.txt",
    "\\\\server\\ada\\x", "file:///data/ada/y", "/export/home/ada/z", "'/srv/with space/ada/w w/v.txt'",
)  # fmt: skip
ARMS = ("bare", "transfer")


class Tags(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes += attrs


def hostile_run(synthetic: Any, claimed: Any, folder: Path, evil: str) -> Path:
    """An ablation with claims in which everything that can be named has the hostile name."""
    claims = [claimed.make_claim(evil, beats(f"{evil} 2", evil))]
    arms = {evil: [70.0, 71.0, None, 72.0, 70.5, 71.5, 69.0], f"{evil} 2": [74.0, 75.0, 73.0, 75.5, 76.0, 75.0, 72.0]}
    study = claimed.make_study(synthetic, claims, arms, 7)
    study |= {key: evil for key in ("study", "scale", "question", "command")}
    study["claims"][0] |= {"says": evil, "source": evil, "margin_because": evil}
    study["scaling"] = [{"what": evil, "paper": evil, "here": evil}]
    study["data_report"] = {evil: {evil: evil}, "tasks": [{"name": evil, "labels": {evil: 3}}]}
    study["paper"] = [{"source": evil, "columns": [evil], "rows": [[evil, [1.5]]], "note": evil}]
    study["majority"] = {evil: {"metric": "accuracy", "value": 50.0}}
    records = claimed.make_records(synthetic, arms)
    for record in records:
        record["reason"] = evil
        record["curves"] = [{"stage": evil, "step": 1, "metric": evil, "value": 1.0}]
        record["provenance"] |= {"machine": evil, "commit": evil, "versions": {evil: evil}}
        record["spec"]["student"]["norm"] = evil
        record["measurements"].append(
            synthetic.make_measurement(f"{evil}/accuracy", 61.0, "%", 1.0, split="test", task=evil, primary=True)
        )
    synthetic.write_run(folder, study, records)
    name = re.sub(r"[/\\]", "_", evil)
    (folder / "trials" / f"{name}.json").write_text("{")
    return folder


def outputs(book: Path) -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in book.rglob("*") if path.suffix not in ("", ".png")}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = page_figures.Shown(wide=Markup(""), narrow=Markup(""), caption="")
    monkeypatch.setattr(page, "shown", lambda *arguments: {"front": nothing})


@pytest.mark.parametrize("evil", NAMES)
def test_a_hostile_name_is_shown_everywhere_and_run_nowhere(
    evil: str, synthetic: Any, claimed: Any, tmp_path: Path, undrawn: None
) -> None:
    run = hostile_run(synthetic, claimed, tmp_path / "runs" / "run-cpu", evil)
    book = write_book([run], tmp_path / "book").parent
    written = outputs(book)
    assert {path.parent.name for path in written} == {"book", "run-cpu", "tables"}, "no name became a place"
    for path, text in written.items():
        if path.suffix == ".html":
            _check_page(text, evil)
        elif path.suffix == ".csv":
            with open(path, newline="", encoding="utf-8") as stream:
                cells = [cell for row in csv.reader(stream) for cell in row]
            assert not [cell for cell in cells if cell.startswith(FORMULA_STARTS) and not _is_number(cell)], path
        elif path.suffix == ".json":
            json.loads(text)
    assert json.loads(written[book / "claims.json"])[0]["claim"] == clean(evil)
    _check_markdown(written[book / "results.md"])


def _check_page(text: str, evil: str) -> None:
    found = Tags(text)
    assert not found.tags & {"script", "img", "iframe", "object", "embed", "base", "form", "b", "link"}
    for name, value in found.attributes:
        assert not name.startswith("on") and not (value or "").lower().startswith("javascript:")
        if name in ("href", "src"):
            assert (value or "").startswith(("#", "../index.html", "index.html", "methods.html", "run-cpu/"))
    shown = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text.split("</style>")[1])).split())
    if "<h1>How a verdict" not in text:
        assert " ".join(clean(evil).split()) in shown or " ".join(clean(evil).split()) in html.unescape(text)


def _check_markdown(text: str) -> None:
    lines = text.split("\n")
    assert text.isprintable() or not re.search(r"[\r\u2028\u2029\x0b\x0c\x85]", text)
    assert sum(line.startswith("#") for line in lines) == 2, "a heading of its own and one of the study"
    (row,) = [line for line in lines if line.startswith("| ") and "---" not in line and "the paper says" not in line]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 7, "a name ends no cell"
    assert not re.search(r"<(?!/?$)[a-z!/]", text) and "http://" not in text and not re.search(r"(?<!\\)\]\(", text)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@given(st.text(max_size=40))
def test_any_text_is_disarmed_for_csv_and_stays_on_one_line_of_markdown(text: str) -> None:
    assert not disarm(text).startswith(FORMULA_STARTS)
    escaped = escape(text)
    assert len(escaped.splitlines()) <= 1 and "<" not in escaped and ">" not in escaped
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", escaped) and not escaped.startswith(("#", "- ", "+ ", "* "))


@pytest.mark.parametrize("secret", SECRETS)
def test_no_place_or_person_is_left_of_a_path(secret: str) -> None:
    for text in (secret, f"cannot read {secret}: no such file", f"--corpus={secret} --workers 2", f"'{secret}'"):
        cleaned = clean(text)
        assert "ada" not in cleaned or "space" in secret or "my data" in secret, cleaned
        assert not re.search(r"(?:^|[\s='(])(?:/[\w]|[A-Za-z]:[\\/]|\\\\)", cleaned), cleaned
    quoted = clean(f"cannot read '{secret.strip(chr(39))}' (no such file)")
    assert "ada" not in quoted, quoted


def test_neither_paths_nor_people_nor_texts_are_in_a_book(
    synthetic: Any, claimed: Any, tmp_path: Path, undrawn: None
) -> None:
    claims = [claimed.make_claim("better", beats("transfer", "bare"))]
    study = claimed.make_study(synthetic, claims, ARMS, 2)
    study["command"] = f"thinbert run x --corpus {SECRETS[0]} --task-data {SECRETS[1]} --runs {SECRETS[2]}"
    study["question"] = f"of {SECRETS[3]}?"
    records = claimed.make_records(synthetic, {"bare": [70.0, None], "transfer": [72.0, 73.0]})
    for record, secret in zip(records, SECRETS, strict=False):
        record["reason"] = f"cannot read {secret}"
        record["provenance"]["unscored"] = {"onnx": f"no file '{secret}'"}
    run = synthetic.write_run(tmp_path / "home of ada" / "x-cpu", study, records)
    (run / "trials" / "bad.json").write_text('{"text": "a sentence of the corpus"')
    for path, text in outputs(write_book([run], tmp_path / "book").parent).items():
        for secret in ("ada", "sentence of the corpus", str(tmp_path), "/home", "C:\\"):
            assert secret not in text, (path, secret)
