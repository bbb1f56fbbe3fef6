"""Runs that are not as they should be: through the command line and in a book each gets a page that says what can and
cannot be concluded, or one line that says what is wrong; never a traceback, never a number that stands in for one."""

import html
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from reports import book as book_module
from reports import page, page_figures
from search.claim import beats
from studies.command_line import main

BARE = [70.0, 71.0, 72.5, 70.5, 69.0, 71.5]
ARMS = {"bare": BARE, "transfer": [74.0, 75.0, 76.5, 76.0, 73.5, 75.0]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """What is odd, how to make it, and what the page must say and must not."""

    make: Callable[[Any, Any, Path], Any]
    says: tuple[str, ...]
    never: tuple[str, ...] = ()


def ablation(synthetic: Any, claimed: Any, folder: Path, arms: Any, **study: Any) -> list[Any]:
    """An ablation with one claim; `study` changes its study.json."""
    claims = [claimed.make_claim("transfer-helps", beats("transfer", "bare"))]
    declared = claimed.make_study(synthetic, claims, ("bare", "transfer"), len(next(iter(arms.values()), BARE)))
    records: list[Any] = claimed.make_records(synthetic, arms)
    for record in records:
        record["curves"] = record["curves"][:8]
    synthetic.write_run(folder, declared | study, records)
    return records


def search(synthetic: Any, folder: Path, num_trials: int = 3) -> list[Any]:
    records: list[Any] = synthetic.make_search(num_trials)
    for record in records:
        record["curves"] = record["curves"][:8]
    synthetic.write_run(folder, synthetic.make_study(), records)
    return records


def rewrite(folder: Path, record: Any) -> None:
    (folder / "trials" / f"{record['fingerprint']}.json").write_text(json.dumps(record))


def one_seed_search(synthetic: Any, claimed: Any, folder: Path) -> None:
    search(synthetic, folder)


def mixed_versions(synthetic: Any, claimed: Any, folder: Path) -> None:
    for record in ablation(synthetic, claimed, folder, ARMS)[:2]:
        record["provenance"]["versions"]["torch"] = "2.12.0"
        record["provenance"]["commit"] = "ffffffff3b4c"
        rewrite(folder, record)


def copied_file(synthetic: Any, claimed: Any, folder: Path) -> None:
    record = ablation(synthetic, claimed, folder, ARMS)[0]
    rewritten = folder / "trials" / "copy of it.json"
    rewritten.write_text(json.dumps(record))


def trained_twice(synthetic: Any, claimed: Any, folder: Path) -> None:
    """One arm and seed under two fingerprints: the later trial counts."""
    record = ablation(synthetic, claimed, folder, ARMS)[0]
    record["fingerprint"] = "0123456789abcdef"
    record["trials"][0]["number"] = 900
    rewrite(folder, record)


def others_in_a_search(synthetic: Any, claimed: Any, folder: Path) -> None:
    record = search(synthetic, folder)[1]
    record["fingerprint"] = "0123456789abcdef"
    record["spec"]["data"] = {**record["spec"]["data"], "length": 512}
    rewrite(folder, record)


def others_in_an_ablation(synthetic: Any, claimed: Any, folder: Path) -> None:
    """An arm of the same name of a study on other data, and an arm that this one does not declare."""
    for record in ablation(synthetic, claimed, folder, ARMS)[:2]:
        record["fingerprint"] = f"f{record['fingerprint'][1:]}"
        record["trials"][0]["number"] += 900
        record["spec"]["data"] = {"identity": "0" * 16, "length": 64}
        rewrite(folder, record)
    unknown = synthetic.make_arm_trial(700, "unknown", 0, 50.0)
    rewrite(folder, unknown)


def an_arm_on_other_data(synthetic: Any, claimed: Any, folder: Path) -> None:
    for record in ablation(synthetic, claimed, folder, ARMS)[len(BARE) :]:
        record["spec"]["data"] = {"identity": "0" * 16, "length": 64}
        rewrite(folder, record)


def truncated_record(synthetic: Any, claimed: Any, folder: Path) -> None:
    record = ablation(synthetic, claimed, folder, ARMS)[0]
    path = folder / "trials" / f"{record['fingerprint']}.json"
    path.write_text(path.read_text()[:900])


def newer_record(synthetic: Any, claimed: Any, folder: Path) -> None:
    rewrite(folder, ablation(synthetic, claimed, folder, ARMS)[0] | {"schema": 2, "measurements": {"accuracy": 99.0}})


def newer_study(synthetic: Any, claimed: Any, folder: Path) -> None:
    search(synthetic, folder)
    (folder / "study.json").write_text(json.dumps({"schema": 7, "what": "ever"}))


def truncated_study(synthetic: Any, claimed: Any, folder: Path) -> None:
    search(synthetic, folder)
    path = folder / "study.json"
    path.write_text(path.read_text()[:300])


def refused_sessions(synthetic: Any, claimed: Any, folder: Path) -> None:
    claims = [claimed.make_claim("faster", beats("bare", "transfer", "latency_ratio"), blocks="sessions", margin=0.05)]
    study = claimed.make_study(synthetic, claims, ARMS, len(BARE), latency_sessions=3)
    synthetic.write_run(folder, study, claimed.make_records(synthetic, ARMS))
    claimed.write_sessions(folder, {"bare": [1.0, None, 1.0], "transfer": [0.8, None, 0.8]})
    (folder / "latency" / "session-02.json").write_text('{"session": {"candidates"')


def damaged_shapes(synthetic: Any, claimed: Any, folder: Path) -> None:
    """Well-formed JSON with things where others should be."""
    records = ablation(
        synthetic, claimed, folder, ARMS, scaling="none", data_report=[1], majority=[2], paper=3, looks="all",
        teacher="someone", smallest_effect="large", latency_sessions="many", question=5, command=["run"],
    )  # fmt: skip
    records[0]["provenance"] = {"versions": ["torch"], "commit": 5, "restarts": "two", "started": 7}
    records[1]["trials"] = [{"arm": "bare", "params": 3, "number": "nine"}, 4]
    records[2]["curves"] = [{"stage": 1}, "point"]
    records[3]["spec"]["seed"] = {"a": 1}
    for record in records[:4]:
        rewrite(folder, record)


NOTHING = ("This run has no trials yet.", "Nothing: there is no trial.")
PAGES = {
    "an empty ablation": Odd(
        make=lambda s, c, folder: ablation(s, c, folder, {}),
        says=(*NOTHING, "No verdict before the run is finished: 12 trials.", "No seed has a value in every arm."),
    ),
    "an empty search": Odd(make=lambda s, c, folder: s.write_run(folder, s.make_study(), []), says=NOTHING),
    "a study.json alone": Odd(
        make=lambda s, c, folder: (s.write_run(folder, s.make_study(), []), (folder / "trials").rmdir()), says=NOTHING
    ),
    "one seed of an ablation": Odd(
        make=lambda s, c, folder: ablation(s, c, folder, {"bare": [70.0], "transfer": [74.0]}),
        says=("Not decided", "Too few pairs for any verdict. With 1 pair the", "No forecast from one seed."),
        never=("Reproduced:",),
    ),
    "one seed of a search": Odd(make=one_seed_search, says=("One seed. Every accuracy here comes from a single",)),
    "diverged trials": Odd(
        make=lambda s, c, folder: ablation(
            s, c, folder, {"bare": BARE, "transfer": [74.0, None, 76.5, "failed", 73.5, 75.0]}
        ),
        says=(
            "2 of 6 pairs of transfer lost: transfer diverged at seed 1; transfer failed at seed 3.",
            "may flatter transfer, whose weak runs are not among them",
            "2 pairs lost: transfer diverged at seed 1; transfer failed at seed 3.",
            "1 trial diverged: no accuracy",
            "1 trial failed for reasons outside the model",
        ),
        never=("Reproduced:",),
    ),
    "nothing but diverged trials": Odd(
        make=lambda s, c, folder: ablation(s, c, folder, {"bare": [None] * 6, "transfer": [None] * 6}),
        says=("No seed has a value in every arm.", "12 trials diverged", "12 trials: 12 diverged."),
    ),
    "mixed versions and commits": Odd(
        make=mixed_versions,
        says=(
            "The trials are not all made alike: commit 0f1e2d3c (10 trials), ffffffff (2 trials); torch 2.13.0 (10",
            "may be theirs, not the arms'; inside a seed they were made alike but for 2 of 6 seeds.",
        ),
    ),
    "a copied trial file": Odd(
        make=copied_file,
        says=(
            "trials/copy of it.json: holds the trial 0000000123456789: a copy or a renamed file",
            "12 trials: 12 complete.",
            "1 file of this run could not be used and is listed above: what they hold is missing",
        ),
    ),
    "one arm and seed twice": Odd(
        make=trained_twice, says=("13 trials: 13 complete.", "1 trial is in no contrast", "superseded by a later trial")
    ),
    "trials of another study in a search": Odd(
        make=others_in_a_search,
        says=(
            "trials/0123456789abcdef.json: is of another study, data.length is not that of this one's baseline",
            "3 trials: 3 complete.",
        ),
    ),
    "trials of another study in an ablation": Odd(
        make=others_in_an_ablation,
        says=(
            "trials/f000000123456789.json: is of another study, data.identity is not that of this one's baseline",
            "2 files of this run could not be used",
            "13 trials: 13 complete.",
            "1 trial is in no contrast: of an arm or seed that study.json does not name",
        ),
    ),
    "an arm on other data": Odd(
        make=an_arm_on_other_data,
        says=("transfer was trained on other data than the first arm: what differs is not the arm alone.",),
    ),
    "a truncated record": Odd(
        make=truncated_record,
        says=(
            "trials/0000000123456789.json: is not JSON but damaged; the same run again moves it aside",
            "11 trials: 11 complete.",
            "bare not trained at seed 0",
            "No verdict before the run is finished: 1 trial.",
        ),
        never=("Reproduced:",),
    ),
    "a record of a newer schema": Odd(
        make=newer_record,
        says=("is a trial of schema 2, newer than the 1 that this version reads; update thinbert", "11 trials"),
        never=("99.0", "Reproduced:"),
    ),
    "a study of a newer schema": Odd(
        make=newer_study,
        says=("study.json: is a study of schema 7, newer than the 1 that this version reads; update", "3 trials"),
    ),
    "a truncated study.json": Odd(
        make=truncated_study,
        says=("study.json: is not JSON but damaged; the question, the scale and the baseline are not", "3 trials"),
        never=("moves it aside",),
    ),
    "refused and damaged measuring sessions": Odd(
        make=refused_sessions,
        says=(
            "latency/session-02.json: is not JSON but damaged; the same run again measures it anew",
            "session refused at session 1",
            "No verdict before the run is finished: 1 session.",
        ),
    ),
    "values of the wrong kind": Odd(
        make=damaged_shapes, says=("12 trials: 12 complete.", "5 (1 trial)")
    ),
}  # fmt: skip


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn, and not written out, which takes most of a page's time."""
    monkeypatch.setattr(page_figures, "to_svg", lambda *arguments: "<svg></svg>")
    monkeypatch.setattr(page_figures, "png_of", lambda *arguments: b"")


def words_of(path: Path) -> str:
    """A page's text without its tags."""
    body = path.read_text(encoding="utf-8").split("</style>")[1]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", body)).split())


@pytest.mark.parametrize("name", PAGES)
def test_an_odd_run_gets_a_page_that_says_so(
    name: str, synthetic: Any, claimed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], unrendered: None
) -> None:
    odd, folder = PAGES[name], tmp_path / "run-cpu"
    odd.make(synthetic, claimed, folder)
    assert main(["report", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(folder / "index.html") and err == ""
    text = words_of(folder / "index.html")
    for phrase in odd.says:
        assert phrase in text
    for phrase in odd.never:
        assert phrase not in text
    assert not re.search(r"\b(nan|inf|None|NaN|Traceback)\b", text)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = page_figures.Shown(wide=Markup(""), narrow=Markup(""), caption="")
    monkeypatch.setattr(page, "shown", lambda *arguments: {"front": nothing})


def test_a_book_of_all_odd_runs_has_a_page_for_each(
    synthetic: Any, claimed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], undrawn: None
) -> None:
    folders = [tmp_path / "runs" / name.replace(" ", "-") for name in PAGES]
    for odd, folder in zip(PAGES.values(), folders, strict=True):
        odd.make(synthetic, claimed, folder)
    ablation(synthetic, claimed, folders[0].with_name("undeclared"), ARMS, claims=[{"says": "too little"}])
    assert main(["report", *map(str, sorted(folders[0].parent.iterdir())), "--out", str(tmp_path / "book")]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(tmp_path / "book" / "index.html") and err == ""
    text = words_of(tmp_path / "book" / "index.html")
    for phrase in (
        "Left out: undeclared: study.json: claim lacks the field 'name'",
        "The trials are of several versions; each study's page says which.",
        "1 of its files could not be used; its page lists them.",
        "2 lost",
    ):
        assert phrase in text
    assert not re.search(r"\b(nan|inf|None|NaN|Traceback)\b", text)
    for odd, folder in zip(PAGES.values(), folders, strict=True):
        page_text = words_of(tmp_path / "book" / folder.name / "index.html")
        assert all(phrase in page_text for phrase in odd.says), folder.name


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda s, c, folder: None, "RUN must be a folder that `thinbert run` wrote (with a study.json), got"),
        (lambda s, c, folder: folder.mkdir(), "RUN must be a folder that `thinbert run` wrote (with a study.json)"),
        (lambda s, c, folder: folder.write_text("x"), "RUN must be a folder that `thinbert run` wrote"),
        (
            lambda s, c, folder: ablation(s, c, folder, ARMS, claims=[{"says": "too little"}]),
            "study.json: claim lacks the field 'name'; required are",
        ),
        (
            lambda s, c, folder: ablation(s, c, folder, ARMS, paper=[{"source": "a"}]),
            "study.json: paper lacks the field 'columns'; required are",
        ),
    ],
)
def test_what_has_no_page_has_one_line(
    make: Any,
    says: str,
    synthetic: Any,
    claimed: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    undrawn: None,
) -> None:
    folder = tmp_path / "run-cpu"
    make(synthetic, claimed, folder)
    assert main(["report", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"thinbert: {says}") and err.count("\n") == 1


def test_a_book_with_nothing_that_has_a_page_is_one_line(
    synthetic: Any, claimed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], undrawn: None
) -> None:
    for name in ("one", "two"):
        ablation(synthetic, claimed, tmp_path / name, ARMS, claims=[{"says": "too little"}])
    assert main(["report", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "book")]) == 2
    assert capsys.readouterr().err.startswith("thinbert: a book needs at least one run folder that can be reported")
    assert book_module.NOT_RUNS and not (tmp_path / "book").exists()


def test_a_run_that_is_mended_has_no_trace_of_what_was_odd(
    synthetic: Any, claimed: Any, tmp_path: Path, unrendered: None
) -> None:
    folder = tmp_path / "run-cpu"
    truncated_record(synthetic, claimed, folder)
    assert main(["report", str(folder)]) == 0 and "could not be used" in words_of(folder / "index.html")
    shutil.rmtree(folder / "trials")
    ablation(synthetic, claimed, folder, ARMS)
    assert main(["report", str(folder)]) == 0
    assert "could not be used" not in words_of(folder / "index.html")
