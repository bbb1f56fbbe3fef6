"""Every cell of every table of a study's page and of the book's first page, recomputed from the JSON files.

The recomputation is plain numpy and loops and imports nothing of reports; a table that nothing here recomputes fails.
What the cells of the verdicts say is recomputed in `test_recomputed.py`.
"""

import importlib.util
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from reports import page, page_figures
from reports.book import write_book
from reports.page import write_report
from search.claim import beats
from search.paper_table import PaperTable
from search.values import to_json

NUM_SEEDS = 7
TASKS = ("agreement", "negation", "roles", "topic pair", "where")
KNOBS = {"bare": (16, 4, 4), "PD": (16, 4, 2), "narrow": (8, 2, 1)}
"""Bottleneck, heads and stacks of each arm's encoder."""
PAPER = PaperTable(
    source="Table 9", columns=("MNLI-m", "ms"), rows=(("bare", (80.85, None)), ("PD", (84.4, 62.0)), ("X", (1.0, 0.5)))
)


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


def interval_and_p(differences: list[float]) -> tuple[list[float], float]:
    """The interval at 95 % ([] where none is finite) and the two-sided p of the sign-flip test, by flipping."""
    row = np.array(differences)
    flips = np.array(list(itertools.product([1, -1], repeat=len(row)))) @ row
    p = min(1.0, 2 * min(np.mean(flips >= row.sum() - 1e-9), np.mean(flips <= row.sum() + 1e-9)))
    subsets = [one for one in itertools.product([0, 1], repeat=len(row)) if any(one)]
    means = sorted(float(np.dot(one, row)) / sum(one) for one in subsets)
    rank = int(0.025 * 2 ** len(row) + 1e-9)
    return ([means[rank - 1], means[-rank]] if rank else []), float(p)


def detectable(deviation: float, count: int) -> float:
    """What so many pairs detect in 4 of 5 studies, by a simulation of its own (accurate to some 5 %)."""
    noise = np.random.default_rng(77).normal(size=(4000, count))
    subsets = np.array([one for one in itertools.product([0, 1], repeat=count) if any(one)])
    means = np.sort(noise @ subsets.T / subsets.sum(axis=1), axis=1)
    return deviation * float(np.quantile(-means[:, int(0.025 * 2**count + 1e-9) - 1], 0.8))


def make_ablation(synthetic: Any, claimed: Any, folder: Path) -> Path:
    """Three arms with encoders of their own, scores of a deployed form, sessions; a trial diverged, one failed."""
    claims = [
        claimed.make_claim("pd-helps", beats("PD", "bare")),
        claimed.make_claim("narrow-is-faster", beats("bare", "narrow", "latency_ratio"), blocks="sessions", margin=0.1),
    ]
    study = claimed.make_study(synthetic, claims, KNOBS, NUM_SEEDS, latency_sessions=6, paper=to_json([PAPER]))
    records = []
    for number, (seed, arm) in enumerate(itertools.product(range(NUM_SEEDS), KNOBS)):
        status = {("PD", 2): "diverged", ("narrow", 4): "failed"}.get((arm, seed), "complete")
        record = synthetic.make_trial(number, synthetic.make_spec(*KNOBS[arm], seed=seed), role="arm", status=status)
        record["trials"][0] |= {"arm": arm, "params": {"arm": arm, "seed": seed}}
        if arm == "PD" and status == "complete":
            for one in [one for one in record["measurements"] if one["conditions"].get("split") == "test"]:
                deployed = {"metric": f"onnx-int8/{one['metric']}", "value": one["value"] - 0.3 * seed}
                conditions = {**one["conditions"], "runtime": "onnx-int8"}
                record["measurements"].append({**one, **deployed, "conditions": conditions})
        record["curves"] = record["curves"][:5]
        records.append(record)
    run: Path = synthetic.write_run(folder, study, records)
    draw = np.random.default_rng(4)
    around = {"bare": 1.0, "PD": 0.8, "narrow": 0.4}
    ratios: Any = {arm: [base + 0.02 * draw.normal() for _ in range(6)] for arm, base in around.items()}
    for arm in ratios:
        ratios[arm][3] = None
    claimed.write_sessions(run, ratios, rounds=8)
    return run


@pytest.fixture(autouse=True)
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_figures, "to_svg", lambda *arguments: "<svg></svg>")
    monkeypatch.setattr(page_figures, "png_of", lambda *arguments: b"")


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


def test_every_cell_of_an_ablations_page(synthetic: Any, claimed: Any, tmp_path: Path) -> None:
    run = make_ablation(synthetic, claimed, tmp_path / "run")
    shown = Page(write_report(run))
    records, study = files(run), json.loads((run / "study.json").read_text())
    table = {(names_of(one), one["spec"]["seed"]): one for one in records if one["status"] == "complete"}
    of_arm = {arm: [table[arm, seed] for seed in range(NUM_SEEDS) if (arm, seed) in table] for arm in KNOBS}
    session_ratio: dict[str, list[float]] = {arm: [] for arm in KNOBS}
    for path in (run / "latency").glob("*.json"):
        session = json.loads(path.read_text())["session"]
        for one in session["candidates"] if session else []:
            times = np.array(one["series"]["forward_ns"]) / np.array(session["reference"]["forward_ns"])
            session_ratio[one["name"].removeprefix("encoder-")].append(float(np.median(times)))

    def mean(arm: str, metric: str) -> Any:
        values = [number for one in of_arm[arm] if (number := value(one, metric, "test")) is not None]
        return (float(np.mean(values)), [float(np.std(values, ddof=1))]) if values else None

    def ours(arm: str, form: str) -> list[Any]:
        prefix = f"{form}/" if form else ""
        metrics = [f"{prefix}{metric}" for metric in ("accuracy", *(f"{task}/accuracy" for task in TASKS))]
        latency = None if form else float(np.mean(session_ratio[arm]))
        return [f"{arm}, {form}" if form else arm, *(mean(arm, metric) for metric in metrics),
                value(of_arm[arm][0], "parameters"), latency, float(len(of_arm[arm]))]  # fmt: skip

    def differences(arm: str, metric: str) -> tuple[list[float], list[float], list[float]]:
        seeds = [seed for seed in range(NUM_SEEDS) if (arm, seed) in table and ("bare", seed) in table]
        both = [(value(table["bare", s], metric, "test"), value(table[arm, s], metric, "test")) for s in seeds]
        base, other = [one for one, _ in both if one is not None], [two for _, two in both if two is not None]
        return [two - one for one, two in zip(base, other, strict=True)], base, other

    def contrast(arm: str) -> list[Any]:
        found, base, other = differences(arm, "accuracy")
        bounds, p = interval_and_p(found)
        lost = {"PD": "PD diverged at seed 2", "narrow": "narrow failed at seed 4"}[arm]
        return [(arm, [float(np.mean(other)), float(np.mean(base))]), (float(np.mean(found)), bounds), p,
                float(len(found)), (1.0, lost), None]  # fmt: skip

    def contrasts(shown_table: Shown) -> None:
        for row, arm in zip(shown_table.rows[1:], ("PD", "narrow"), strict=True):
            found = differences(arm, "accuracy")[0]
            wanted = detectable(float(np.std(found, ddof=1)), len(found))
            assert float(row[-1][0]) == pytest.approx(wanted, rel=0.08, abs=0.06)
            row[-1] = ("-", "")
        check(shown_table, [contrast("PD"), contrast("narrow")])

    def task_row(task: str, arm: str) -> list[Any]:
        found, base, other = differences(arm, f"{task}/accuracy")
        return [(task, "accuracy"), arm, (float(np.mean(found)), interval_and_p(found)[0]), float(np.mean(base)),
                float(np.mean(other)), study["majority"][task]["value"], float(len(found))]  # fmt: skip

    def arm_row(arm: str) -> list[Any]:
        accuracies, first = [value(one, "accuracy", "test") for one in of_arm[arm]], of_arm[arm][0]
        low, high = min(map(float, accuracies)), max(map(float, accuracies))  # type: ignore[arg-type]
        return [arm, (float(np.mean(accuracies)), [low, high, float(len(accuracies))]),  # type: ignore[arg-type]
                *((value(first, metric), ends(first, metric)) for metric in ("latency_ratio", "latency_ms")),
                value(first, "parameters"), value(first, "flops")]  # fmt: skip

    fast_first = sorted(KNOBS, key=lambda arm: value(of_arm[arm][0], "latency_ratio") or 0.0)
    check_all(
        shown,
        common_tables(shown, run, ("bottleneck_size", "num_heads", "num_feed_forward", "feed_forward_size"))
        | {
            "The paper: ": [[name, *row] for name, row in PAPER.rows],
            "Ours: ": [ours("bare", ""), ours("PD", ""), ours("PD", "onnx-int8"), ours("narrow", "")],
            "Each claim as it was declared": lambda table: None,  # test_recomputed.py
            "Accuracy of each arm minus": contrasts,
            "Each task's score": [task_row(task, arm) for task in TASKS for arm in ("PD", "narrow")],
            "What is compared": [[one["name"], one["because"]] for one in study["arms"]],
            "Every arm, fastest first": [arm_row(arm) for arm in fast_first],
        },
    )
    check_facts(shown, records)


def check_facts(shown: Page, records: list[Any]) -> None:
    """Time and restarts in the provenance."""
    total = sum(value(one, "train_seconds") or 0.0 for one in records)
    hours, minutes, seconds = round(total) // 3600, round(total) // 60 % 60, round(total) % 60
    text = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
    assert shown.facts["training took"] == f"{text} of one core, {len(records)} trials"
    assert shown.facts["restarts of trials"] == str(sum(one["provenance"]["restarts"] for one in records))
    assert shown.facts["first trial started"] == min(one["provenance"]["started"] for one in records)
    assert shown.facts["last trial finished"] == max(one["provenance"]["finished"] for one in records)


def test_every_cell_of_a_searchs_page(synthetic: Any, tmp_path: Path) -> None:
    records = synthetic.make_search(14)
    for record in (made := [*records, *synthetic.make_confirmations(records)]):
        record["curves"] = record["curves"][:5]
    run = synthetic.write_run(tmp_path / "run", synthetic.make_study(), made)
    shown = Page(write_report(run))
    study = json.loads((run / "study.json").read_text())
    groups: dict[str, list[Any]] = {}
    for one in files(run):
        if one["status"] == "complete":
            groups.setdefault(names_of(one), []).append(one)
    for group in groups.values():
        group.sort(key=lambda one: one["role"] == "confirmation")
    seen = {
        name: (value(group[0], "validation/accuracy", "validation"), value(group[0], "latency_ratio"))
        for name, group in groups.items()
    }
    better: Any = lambda a, b: a != b and a[0] >= b[0] and a[1] <= b[1]  # noqa: E731
    front = {name for name, mine in seen.items() if not any(better(other, mine) for other in seen.values())}
    ordered = sorted(groups, key=lambda name: seen[name][1] or 0.0)
    base = "baseline (paper's ratios)"
    mean = {name: float(np.mean([value(one, "accuracy", "test") for one in group])) for name, group in groups.items()}  # type: ignore[misc]
    best = max(front, key=lambda name: mean[name])

    def front_row(name: str, number: int) -> list[Any]:
        first, accuracies = groups[name][0], [value(one, "accuracy", "test") for one in groups[name]]
        spread = [min(accuracies), max(accuracies)] if len(accuracies) > 1 else []  # type: ignore[type-var]
        return [float(number) if name in front else None, name, (mean[name], [*spread, float(len(accuracies))]),
                accuracies[0], *((value(first, m), ends(first, m)) for m in ("latency_ratio", "latency_ms")),
                value(first, "parameters"), value(first, "flops")]  # fmt: skip

    def check_front(table: Shown) -> None:
        table.rows[:] = [[(text, note.replace("order could be noise", "")) for text, note in row] for row in table.rows]
        numbers = itertools.count(1)
        listed = [name for name in ordered if name in front or name == base]
        check(table, [front_row(name, next(numbers) if name in front else 0) for name in listed])

    teacher, first, top = study["teacher"], groups[base][0], groups[best][0]
    columns = [first, teacher] if best == base else [first, top, teacher]
    tasks = [
        [(task, "accuracy"), study["majority"][task]["value"],
         *((value(one, f"{task}/accuracy", "test"), ends(one, f"{task}/accuracy", "test")) for one in columns)]
        for task in TASKS
    ]  # fmt: skip
    majority = float(np.mean([study["majority"][task]["value"] for task in TASKS]))
    tasks.append(["mean over tasks", majority, *(value(one, "accuracy", "test") for one in columns)])
    check_all(
        shown,
        common_tables(shown, run, ("bottleneck_size", "num_heads", "num_feed_forward", "feed_forward_size"))
        | {"Configurations that no other": check_front, "Scores on the test split": tasks},
    )
    check_facts(shown, files(run))
    area, reach = 0.0, majority
    shown_points = sorted((value(group[0], "latency_ratio"), mean[name]) for name, group in groups.items())  # type: ignore[type-var]
    for latency, accuracy in shown_points:
        if latency is not None and accuracy > reach and latency < 1.0:
            area, reach = area + (accuracy - reach) * (1.0 - latency), accuracy
    text = (run / "index.html").read_text(encoding="utf-8")
    said = re.search(
        r"hypervolume ([\d.]+) accuracy points x latency ratio, up to the reference point ([\d.]+) %", text
    )
    assert said is not None and agrees(said[1], area) and agrees(said[2], majority)


def recomputed() -> Any:
    """The plain recomputation of the verdicts."""
    place = importlib.util.spec_from_file_location("plain_verdicts", Path(__file__).with_name("test_recomputed.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_every_cell_of_the_books_first_page(
    synthetic: Any, claimed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = recomputed()
    run = plain.make_run(synthetic, claimed, tmp_path / "one-cpu", 9)
    shared = synthetic.write_run(
        tmp_path / "two-cpu", {**synthetic.make_ablation_study(), "study": "two"}, files(run)[:5]
    )
    monkeypatch.setattr(page, "shown", lambda *arguments: {})
    index = write_book([run, shared], tmp_path / "book")
    judged = plain.judge(run, 9, 0.05)
    listed = json.loads((index.parent / "claims.json").read_text())
    markdown = [
        line for line in (index.parent / "results.md").read_text().splitlines() if "points" in line or "x ref" in line
    ]
    order = sorted(judged, key=lambda row: row["p"])
    claims, running = [], 0.0
    holm = {}
    for place, row in enumerate(order):
        running = max(running, (len(order) - place) * row["p"])
        holm[row["claim"]["name"]] = min(1.0, running)
    for row, kept, line in zip(judged, listed, markdown, strict=True):
        shown = row["parts"][plain.shown_part(row)]
        bounds = plain.interval(shown, row["level"])
        n = float(min(map(len, row["parts"])))
        assert kept["verdict"] == row["verdict"] and f"**{row['verdict']}**" in line
        assert kept["effect"] == pytest.approx(np.mean(shown)) and kept["n"] == n
        assert kept["p_holm"] == pytest.approx(holm[row["claim"]["name"]])
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert agrees(cells[2].split()[0], float(np.mean(shown))) and int(cells[5].split()[0]) == n
        ends_shown = [float(one) for one in NUMBER.findall(cells[3])]
        digits = 3 if row["claim"]["blocks"] == "sessions" else 2
        assert ends_shown == pytest.approx(list(bounds) if bounds else [], abs=0.51 * 10**-digits)
        assert float(cells[4]) == row["claim"]["margin"]
        claims.append((row, shown, bounds, n))

    def check_claims(table: Shown) -> None:
        for cells, (row, shown, bounds, n) in zip(table.rows[1:], claims, strict=True):
            text = [cell.strip() for cell, _ in cells]
            assert text[0] == row["claim"]["says"] and text[1].split()[1] == row["verdict"]
            assert agrees(text[2], float(np.mean(shown))) and agrees(text[4], row["claim"]["margin"])
            found = NUMBER.findall(text[3])
            assert len(found) == len(bounds or ()) and all(map(agrees, found, bounds or ()))
            assert agrees(cells[3][1].removesuffix(" %"), float(f"{100 * (1 - row['level']):.4g}"))
            assert agrees(text[5], holm[row["claim"]["name"]]) and agrees(text[6], n)

    def check_work(table: Shown) -> None:
        mine, few = files(run), files(shared)
        for cells, (count, new, records) in zip(
            table.rows[1:],
            [(len(mine), len(mine), mine), (len(few), 0, []), (len(mine) + len(few), len(mine), mine)],
            strict=True,
        ):
            assert [int(cells[1][0]), int(cells[2][0])] == [count, new]
            seconds = round(sum(value(one, "train_seconds") or 0.0 for one in records))
            whole = f"{seconds // 3600} h {seconds % 3600 // 60} min" if seconds >= 3600 else f"{seconds // 60} min"
            assert cells[3][0].startswith(whole) if records else cells[3][0] == "-"
            assert cells[4][0] == "-", "these specifications are no real ones: nothing is predicted for them"

    scaling = json.loads((run / "study.json").read_text())["scaling"]
    written = [
        [f"{one[k]:,}" if isinstance(one[k], int) else one[k] for k in ("what", "paper", "here")] for one in scaling
    ]
    check_all(
        Page(index),
        {"The claims of": check_claims, "Trials that several studies share": check_work, "The paper's sizes": written},
    )
