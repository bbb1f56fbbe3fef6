"""The book of several runs: a first page with all claims at a glance, a page per study, and the methods.

`write_book` writes FOLDER/index.html, FOLDER/methods.html, FOLDER/<run>/ with the study's own page, and the verdicts as
claims.csv, claims.json and results.md.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
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
from reports.conclusions import concluded
from reports.contrast_tables import p_text
from reports.decision import Outcome
from reports.export import write_table
from reports.page import render, write_report
from reports.readable import DASH, duration, plural
from reports.records import Record, Run, read_run, value_of
from reports.results import Concluded, results
from reports.sections import Cell, Table
from reports.verdict import Verdict, verdicts
from search.files import write_whole
from search.predict import predict
from search.trial import TrialSpec
from search.values import from_json

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
    chapters, skipped = _chapters(run_folders)
    if not chapters:
        raise ValueError(f"a book needs at least one run folder, got {', '.join(map(str, run_folders)) or 'none'}")
    for (path, _), chapter in zip(_runs(run_folders), chapters, strict=True):
        write_report(path, out / chapter.folder, in_book=True)
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
            Cell(text=str(number)),
            Cell(text=conclusion.says, note=f"Sun et al. 2020, {conclusion.source}"),
            Cell(
                text=", ".join(f"{SIGNS[one.outcome]} {one.outcome}" for one in spoken),
                note="; ".join(one.claim.says for one in spoken),
            ),
        )
        for number, conclusion, spoken in conclusions
    )
    return Table(
        heads=("number", "the paper concludes", "the verdict on each claim"), numeric=(True, False, False), rows=rows
    )


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
    rows = []
    total = [0, 0, 0.0, 0.0]
    for chapter in chapters:
        records = chapter.run.records
        new = [record for record in records if record["fingerprint"] not in seen]
        seen |= {record["fingerprint"] for record in new}
        numbers = [len(records), len(new), _actual(new), _predicted(new)]
        total = [whole + part for whole, part in zip(total, numbers, strict=True)]
        rows.append(_work_row(chapter.title, numbers))
    rows.append(_work_row("in all", total))
    heads = ("study", "trials", "first seen here", "time of one core", "predicted")
    return Table(heads=heads, numeric=(False, *[True] * 4), rows=tuple(rows))


def work_notes(chapters: Sequence[Chapter]) -> list[str]:
    """What else there is to know of how the trials were made."""
    records = [record for chapter in chapters for record in chapter.run.records]
    made = [record["provenance"] for record in records]
    commits = sorted({str(one["commit"])[:8] for one in made if one.get("commit")})
    torches = sorted({str(one.get("versions", {}).get("torch", "not recorded")) for one in made})
    dirty = sum(bool(one.get("dirty")) for one in made)
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
    chapters, used = [], set[str]()
    for path, run in _runs(run_folders):
        folder = path.resolve().name
        while folder in used:
            folder += "-again"
        used.add(folder)
        chapters.append(Chapter(run=run, verdicts=verdicts(run), folder=folder))
    skipped = [
        f"{path.name}: {_why_not(path)}" for path in run_folders if path.name not in NOT_RUNS and not _is_run(path)
    ]
    return chapters, skipped


def _runs(run_folders: Iterable[Path]) -> list[tuple[Path, Run]]:
    return [(path, read_run(path)) for path in run_folders if _is_run(path)]


def _is_run(path: Path) -> bool:
    return path.name not in NOT_RUNS and (path / "study.json").is_file()


def _why_not(path: Path) -> str:
    return "no run folder, it has no study.json" if path.is_dir() else "no folder"


def _about_blocks(verdict: Verdict) -> str:
    lost = num_lost(verdict.lost)
    return verdict.claim.blocks + (f", {lost} lost" if lost else "")


def _work_row(title: str, numbers: Sequence[float]) -> tuple[Cell, ...]:
    trials, new, actual, predicted = numbers
    times = [Cell(text=duration(seconds) if seconds else DASH) for seconds in (actual, predicted)]
    return (Cell(text=title), Cell(text=f"{trials:.0f}"), Cell(text=f"{new:.0f}"), *times)


def _actual(records: Iterable[Record]) -> float:
    return sum(value_of(record, "train_seconds") or 0.0 for record in records)


def _predicted(records: Iterable[Record]) -> float:
    """Of those whose spec this version can read."""
    seconds = 0.0
    for record in records:
        try:
            seconds += predict(from_json(TrialSpec, record["spec"])).train_seconds
        except ValueError:
            continue
    return seconds
