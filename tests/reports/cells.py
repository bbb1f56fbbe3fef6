"""Tables of pages read back from their HTML, and their cells held against what the JSON files say.

The recomputation is plain numpy and loops and imports nothing of reports. Here is what pages of several kinds share.
"""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TASKS = ("agreement", "negation", "roles", "topic pair", "where")
STUDENT = ("bottleneck_size", "num_heads", "num_feed_forward", "feed_forward_size")
"""The knobs that vary between the made trials."""


class Shown(NamedTuple):
    """One table of a page."""

    section: str
    caption: str
    heads: list[str]
    rows: list[list[tuple[str, str]]]
    """(text, small print) of each cell."""


class Page(HTMLParser):
    """All tables of a page, and the facts of its provenance."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tables: list[Shown] = []
        self.facts: dict[str, str] = {}
        self.section = self.inside = self.caption = self.fact = ""
        self.feed(path.read_text(encoding="utf-8").split("</style>")[1])

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        found = dict(attrs)
        if tag == "section":
            self.section = found["id"]
        elif tag == "table":
            self.tables.append(Shown(self.section, " ".join(self.caption.split()), [], []))
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag == "td":
            self.tables[-1].rows[-1].append(("", ""))
        elif tag == "th":
            self.tables[-1].heads.append("")
        elif tag == "p" and found.get("class") == "caption":
            self.caption = ""
        elif tag == "dt":
            self.fact = ""
        self.inside = f"p.{found.get('class')}" if tag == "p" else tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = "td" if tag == "small" else ""

    def handle_data(self, data: str) -> None:
        if self.inside in ("td", "small"):
            text, note = self.tables[-1].rows[-1][-1]
            self.tables[-1].rows[-1][-1] = (text + data, note) if self.inside == "td" else (text, note + data)
        elif self.inside == "th":
            self.tables[-1].heads[-1] += data
        elif self.inside == "p.caption":
            self.caption += data
        elif self.inside == "dt":
            self.fact += data
        elif self.inside == "dd":
            self.facts[self.fact] = self.facts.get(self.fact, "") + data


NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?")


def agrees(text: str, expected: float) -> bool:
    """Whether a shown number is the expected one, rounded to the digits that are shown."""
    found = re.fullmatch(r"([+-]?[\d,]+(?:\.(\d+))?)(?: ([kMGT]))?", text.strip())
    if found is None:
        return text.strip() == "< 0.001" and expected < 0.001
    scale = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[found[3] or ""]
    unit = scale * 10.0 ** -len(found[2] or "")
    return abs(float(found[1].replace(",", "")) * scale - expected) <= 0.5000001 * unit


def check(table: Shown, expected: list[list[Any]]) -> None:
    """Compare all cells: None is missing, text is exact, a pair is a cell with its small print (numbers, or exact)."""
    assert len(table.rows) - 1 == len(expected), (table.caption, table.rows)
    for row, wanted in zip(table.rows[1:], expected, strict=True):
        assert len(row) == len(wanted) == len(table.heads), (table.caption, row, wanted)
        for head, (text, note), want in zip(table.heads, row, wanted, strict=True):
            value, small = want if isinstance(want, tuple) else (want, [])
            place = (table.caption, head, text, note, want)
            if value is None:
                assert text.strip() in ("-", "not recorded"), place
            else:
                assert text.strip() == value if isinstance(value, str) else agrees(text, value), place
            if isinstance(small, str):
                assert note.strip() == small, place
            else:
                numbers = NUMBER.findall(note)
                assert len(numbers) == len(small), place
                assert all(agrees(one, number) for one, number in zip(numbers, small, strict=True)), place


def value(record: Any, metric: str, split: str | None = None) -> float | None:
    for one in record["measurements"]:
        if one["metric"] == metric and one["conditions"].get("split", split) == split:
            return float(one["value"])
    return None


def ends(record: Any, metric: str, split: str | None = None) -> list[float]:
    for one in record["measurements"]:
        if one["metric"] == metric and one["conditions"].get("split", split) == split and one["interval"]:
            return [one["interval"]["low"], one["interval"]["high"]]
    return []


def files(run: Path) -> list[Any]:
    """The trials in the order of their numbers, confirmations last."""
    records = [json.loads(path.read_text()) for path in sorted((run / "trials").glob("*.json"))]
    return sorted(records, key=lambda one: (one["trials"][0]["number"] if one["trials"] else 1e9, one["fingerprint"]))


def names_of(record: Any) -> str:
    """The arm, or for a search what differs from its baseline."""
    if record["trials"] and record["trials"][0]["arm"]:
        return str(record["trials"][0]["arm"])
    student = record["spec"]["student"]
    narrow, heads, stacks = (student[key] for key in ("bottleneck_size", "num_heads", "num_feed_forward"))
    told = [f"bottleneck {narrow}"] if narrow != 16 else []
    told += [f"{heads} head{'s' * (heads > 1)}"] if heads != 4 else []
    told += [f"{stacks} FFN{'s' * (stacks > 1)}"] if stacks != 4 else []
    return ", ".join(told) or "baseline (paper's ratios)"


def trial_rows(records: list[Any], knobs: tuple[str, ...]) -> list[list[Any]]:
    return [
        [
            float(one["trials"][0]["number"]) if one["trials"] else None, names_of(one), one["status"], one["role"],
            float(one["spec"]["seed"]), *(str(one["spec"]["student"][knob]) for knob in knobs),
            value(one, "accuracy", "test"), *(value(one, metric) for metric in ("latency_ratio", "latency_ms")),
            value(one, "parameters"), value(one, "flops"), *(value(one, f"{task}/accuracy", "test") for task in TASKS),
            value(one, "train_seconds"), one["fingerprint"],
        ]
        for one in records
    ]  # fmt: skip


def leaves(value: Any) -> list[float]:
    """The numbers inside a JSON value, in order."""
    if isinstance(value, dict | list):
        return [number for item in (value.values() if isinstance(value, dict) else value) for number in leaves(item)]
    return [float(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def check_data(table: Shown, entries: list[Any]) -> None:
    """Numbers of the data report: whole ones in full, shares with four digits, in the order of the file."""
    for row, entry in zip(table.rows[1:], entries, strict=True):
        shown = [float(one.replace(",", "")) for text, _ in row for one in NUMBER.findall(text)]
        kept = {key: item for key, item in entry.items() if key != "missing"}  # zeros of every split tell nothing
        assert shown == pytest.approx(leaves(kept), rel=1e-3), row


def common_tables(shown: Page, run: Path, knobs: tuple[str, ...]) -> dict[str, Any]:
    """Checkers of what pages of both kinds have, by the beginning of the caption."""
    study, records = json.loads((run / "study.json").read_text()), files(run)
    lost = [one for one in records if one["status"] != "complete"]
    report = study["data_report"]
    written = lambda item: f"{item:,}" if isinstance(item, int) else item  # noqa: E731
    plain = {key: item for key, item in report.items() if not isinstance(item, dict | list)}
    return {
        "The paper's sizes": [[written(one[key]) for key in ("what", "paper", "here")] for one in study["scaling"]],
        "No number stands in": [
            [names_of(one), one["status"], one["reason"] or None, one["fingerprint"]] for one in lost
        ],
        "One row per trial": trial_rows(records, knobs),
        "Tasks": lambda table: check_data(table, report["tasks"]),
        "What was found before": lambda table: check_data(table, [report["corpus"]]),
        "In all": [[key.replace("_", " "), float(item)] for key, item in plain.items()],
    }


def check_all(shown: Page, expected: dict[str, Any]) -> None:
    """Every table is recomputed by one of the expected, and every expected one is there."""
    used = set()
    for table in shown.tables:
        starts = [start for start in expected if table.caption.startswith(start)]
        assert len(starts) == 1, f"nothing recomputes the table {table.caption!r}"
        used.add(starts[0])
        wanted = expected[starts[0]]
        wanted(table) if callable(wanted) else check(table, wanted)
    assert used == set(expected)


def check_facts(shown: Page, records: list[Any]) -> None:
    """Time and restarts in the provenance."""
    total = sum(value(one, "train_seconds") or 0.0 for one in records)
    hours, minutes, seconds = round(total) // 3600, round(total) // 60 % 60, round(total) % 60
    text = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
    assert shown.facts["training took"] == f"{text} of one core, {len(records)} trials"
    assert shown.facts["restarts of trials"] == str(sum(one["provenance"]["restarts"] for one in records))
    assert shown.facts["first trial started"] == min(one["provenance"]["started"] for one in records)
    assert shown.facts["last trial finished"] == max(one["provenance"]["finished"] for one in records)
