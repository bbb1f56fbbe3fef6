"""The book of several runs: a first page with all claims at a glance, a page per study, and the methods.

`write_book` writes FOLDER/index.html, FOLDER/methods.html, FOLDER/<run>/ with the study's own page, and the verdicts as
claims.csv, claims.json and results.md.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.background import scaling_table
from reports.claim_tables import (
    CLAIM_COLUMNS,
    claim_rows,
    effect_note,
    effect_text,
    interval_text,
    level_text,
    num_lost,
)
from reports.claim_text import methods
from reports.cleaning import clean
from reports.conclusions import concluded
from reports.contrast_tables import p_text
from reports.decision import Outcome
from reports.export import write_table
from reports.helper import Helper
from reports.mixed import made_with
from reports.page import helping_with, render, write_page
from reports.paper_tables import paper_tables
from reports.readable import DASH, duration, plural
from reports.reading import read_run
from reports.records import Record, Run
from reports.results import Concluded, results
from reports.sections import Cell, Table
from reports.training_time import training_time
from reports.verdict import Verdict, verdicts
from search.files import write_whole

SIGNS: dict[Outcome, str] = {"reproduced": "◆", "contradicted": "✕", "equivalent": "■", "inconclusive": "○"}
"""Verdicts are told apart by word and sign; colour comes third."""
NOT_RUNS = ("data", "teachers")
"""What lies beside the runs under one root: people type runs/*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One run with its verdicts."""

    run: Run
    verdicts: tuple[Verdict, ...]
    folder: str
    """Under the book's."""

    @property
    def title(self) -> str:
        """The study's name and, where known, its scale."""
        scale = self.run.study.get("scale")
        name = str(self.run.study.get("study") or self.run.name)
        return f"{name}, scale {scale}" if scale else name


def write_book(run_folders: Sequence[Path], out: Path) -> Path:
    """Write the book of some runs and return the path of its first page.

    Args:
        run_folders: run folders; data and teachers beside them, and folders without trials or study, are skipped and
            listed on the first page.
        out: the book's folder.

    Raises:
        ValueError: no run among them.
        OSError: the files could not be written.
    """
    with helping_with(run_folders) as helper:
        return _write_book(run_folders, out, helper)


def _write_book(run_folders: Sequence[Path], out: Path, helper: Helper) -> Path:
    chapters, skipped = _chapters(run_folders)
    if not chapters:
        beside = [f"{path.name}: lies beside runs" for path in run_folders if path.name in NOT_RUNS]
        got = "; ".join([*skipped, *beside]) or "none"
        raise ValueError(f"a book needs at least one run folder that can be reported, got {got}")
    for chapter in chapters:
        write_page(chapter.run, out / chapter.folder, helper, in_book=True)
    every = [verdict for chapter in chapters for verdict in chapter.verdicts]
    rows = [{"study": one.title, **row} for one in chapters for row in claim_rows(one.verdicts)]
    write_table(out, "claims", rows, ("study", *CLAIM_COLUMNS))
    judged = [(str(one.run.study.get("study")), verdict) for one in chapters for verdict in one.verdicts]
    context = {
        "chapters": chapters,
        "answer": answer(every),
        "conclusions": conclusion_table(concluded(judged)),
        "tables": {chapter.folder: glance(chapter.verdicts) for chapter in chapters},
        "work": work_table(chapters),
        "work_notes": work_notes(chapters),
        "scaling": scaling_table(chapters[0].run.study),
        "skipped": skipped,
    }
    write_whole(
        out / "methods.html", render("methods.html.jinja", {"rules": methods(every), "margins": margins(every)})
    )
    listed = [(one.title, str(one.run.study.get("question") or ""), one.verdicts) for one in chapters]
    write_whole(out / "results.md", results(listed, answer(every), concluded(judged)))
    write_whole(out / "index.html", render("book.html.jinja", context))
    return out / "index.html"


def answer(every: Sequence[Verdict]) -> str:
    """How many claims have which verdict, in one sentence."""
    if not every:
        return "None of these runs declares a claim, so nothing is judged here."
    counts = Counter(verdict.outcome for verdict in every)
    parts = [f"{counts[outcome]} {outcome}" for outcome in SIGNS if counts[outcome]]
    return f"Of {plural(len(every), 'claim')}: {', '.join(parts)}."


def conclusion_table(conclusions: Concluded) -> Table:
    """The paper's conclusions, each with the verdicts on its claims."""
    rows = tuple(
        (
            Cell(text=f"{number}. {conclusion.says}", note=f"Sun et al. 2020, {conclusion.source}"),
            Cell(
                text=", ".join(f"{SIGNS[one.outcome]} {one.outcome}" for one in spoken),
                note="; ".join(f"{one.claim.says}: {one.outcome}" for one in spoken),
            ),
        )
        for number, conclusion, spoken in conclusions
    )
    return Table(heads=("the paper concludes", "the verdict on each claim"), numeric=(False, False), rows=rows)


def glance(claimed: Sequence[Verdict]) -> Table:
    """The claims of one study: what is said, the verdict, and the numbers that it hangs on."""
    heads = ("claim", "verdict", "effect", "interval", "margin", "p", "n")
    rows = tuple(
        (
            Cell(text=verdict.claim.says, note=verdict.claim.source),
            Cell(text=f"{SIGNS[verdict.outcome]} {verdict.outcome}", note=verdict.forecast),
            Cell(text=effect_text(verdict.shown), note=effect_note(verdict)),
            Cell(text=interval_text(verdict.shown), note=level_text(verdict.level)),
            Cell(text=f"{verdict.claim.margin:g}"),
            Cell(text=p_text(verdict.p_holm)),
            Cell(text=str(verdict.num_blocks), note=_about_blocks(verdict)),
        )
        for verdict in claimed
    )
    return Table(heads=heads, numeric=(False, False, *[True] * 5), rows=rows)


def margins(every: Sequence[Verdict]) -> Table:
    """Every claim's margin with its reason, as it was declared."""
    rows = tuple(
        (
            Cell(text=verdict.claim.name),
            Cell(text=verdict.claim.test),
            Cell(text=f"{verdict.claim.margin:g}", note=verdict.shown.unit),
            Cell(text=verdict.claim.margin_because),
        )
        for verdict in every
    )
    return Table(heads=("claim", "test", "margin", "because"), numeric=(False, False, True, False), rows=rows)


def work_table(chapters: Sequence[Chapter]) -> Table:
    """Trials and processor time of every study, what an earlier one trained counted there; predicted beside actual."""
    seen: set[str] = set()
    rows, every = [], list[Record]()
    for chapter in chapters:
        new = [record for record in chapter.run.records if record["fingerprint"] not in seen]
        seen |= {record["fingerprint"] for record in new}
        every += new
        rows.append(_work_row(chapter.title, len(chapter.run.records), new))
    rows.append(_work_row("in all", sum(len(chapter.run.records) for chapter in chapters), every))
    heads = ("study", "trials", "first seen here", "time of one core", "predicted")
    return Table(heads=heads, numeric=(False, *[True] * 4), rows=tuple(rows))


def work_notes(chapters: Sequence[Chapter]) -> list[str]:
    """What else there is to know of how the trials were made."""
    records = [record for chapter in chapters for record in chapter.run.records]
    made = [made_with(record) for record in records]
    commits = sorted({one["commit"] for one in made if "commit" in one})
    torches = sorted({one.get("torch", "not recorded") for one in made})
    dirty = sum(bool(record["provenance"].get("dirty")) for record in records)
    notes = [f"Commits of the trials: {', '.join(commits) or 'not recorded'}; torch {', '.join(torches)}."]
    if len(commits) > 1 or len(torches) > 1:
        notes.append("The trials are of several versions; each study's page says which.")
    if dirty:
        notes.append(f"{plural(dirty, 'trial')} ran from a tree with changes that are in no commit.")
    taken = len({record["fingerprint"] for record in records if "taken_from" in record["provenance"]})
    if taken:
        notes.append(f"{plural(taken, 'trial')} were trained by another run under the same root and taken over.")
    return notes


def _chapters(run_folders: Sequence[Path]) -> tuple[list[Chapter], list[str]]:
    chapters, skipped, used = [], list[str](), set[str]()
    for path in run_folders:
        if path.name in NOT_RUNS:
            continue
        if not (path / "study.json").is_file():
            skipped.append(f"{path.name}: {'no run folder, it has no study.json' if path.is_dir() else 'no folder'}")
            continue
        folder = path.resolve().name
        while folder in used:
            folder += "-again"
        run = read_run(path)
        try:
            paper_tables(run)  # what its page will read, so that one damaged declaration does not cost the book
            chapters.append(Chapter(run=run, verdicts=verdicts(run), folder=folder))
            used.add(folder)
        except ValueError as error:
            skipped.append(f"{path.name}: {clean(str(error))}")
    return chapters, skipped


def _about_blocks(verdict: Verdict) -> str:
    lost = num_lost(verdict.lost)
    return verdict.claim.blocks + (f", {lost} lost" if lost else "")


def _work_row(title: str, num_trials: int, new: Sequence[Record]) -> tuple[Cell, ...]:
    time = training_time(new)
    note = f"{plural(time.num_compared, 'complete trial')}, took {duration(time.compared_seconds)}"
    actual = Cell(text=duration(time.seconds) if time.num_trials else DASH)
    predicted = Cell(text=duration(time.predicted_seconds), note=note) if time.num_compared else Cell(text=DASH)
    return (Cell(text=title), Cell(text=f"{num_trials:,}"), Cell(text=f"{len(new):,}"), actual, predicted)
