"""The report of made-up runs, in small: a page in a process of its own, of files as the driver writes them."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.made_runs import make_ablation, make_search
from benchmarks.report import main
from reports import helper, page
from reports.reading import read_run
from search.record import read_records


@pytest.mark.slow
def test_a_made_run_is_reported_in_a_process_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(report.runs(2000)) == ["search", "ablation, 125 arms", "ablation, 100 seeds"]
    monkeypatch.setattr(report, "runs", lambda count: {"search": lambda folder: make_search(folder, count)})
    assert main(["--trials", "16", "--no-profile", "--json"]) in (0, 1)  # 1 on a machine too busy for ten seconds
    found = json.loads(capsys.readouterr().out)
    assert [row["trials"] for row in found["runs"]] == [16]
    for row in found["runs"]:
        assert 0 < row["report_seconds"] < row["seconds"] and 5e7 < row["peak_bytes"] <= found["limits"]["bytes"]
        assert row["page_bytes"] > 20_000 and row["profile"] == "" and row["helper_peak_bytes"] == 0


@pytest.mark.slow
def test_the_memory_of_a_second_process_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_search(tmp_path / "run-cpu", 16)
    monkeypatch.setattr(page, "MANY_TRIALS", 16)
    monkeypatch.setattr(helper, "cores", lambda: 2)
    report._render(tmp_path / "run-cpu")
    found = json.loads(capsys.readouterr().out)
    assert 5e7 < found["helper_peak_bytes"] < found["peak_bytes"] - 5e7


def test_made_runs_are_what_the_driver_would_have_written(tmp_path: Path) -> None:
    make_search(tmp_path / "search", 40)
    make_ablation(tmp_path / "ablation", 24, 6)
    for folder, count in ((tmp_path / "search", 40), (tmp_path / "ablation", 24)):
        assert len(read_records(folder).records) == count and read_records(folder).problems == ()
        run = read_run(folder)
        assert len(run.records) == count and run.problems == ()
    assert len(read_run(tmp_path / "ablation").sessions.kept) == 8
    with pytest.raises(ValueError, match="8 to 2000 trials, got 4000"):
        make_search(tmp_path / "more", 4000)
    with pytest.raises(ValueError, match="four arms or more in whole seeds, got 10 over 6"):
        make_ablation(tmp_path / "odd", 10, 6)


def test_too_few_trials_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--trials", "3"])
    assert "--trials must be at least 8, got 3" in capsys.readouterr().err
