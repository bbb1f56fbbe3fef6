"""Both ways of training seeds compute the same; the table and the figure are drawn."""

from pathlib import Path

import pytest

from benchmarks.replicas import draw, main, measure, table


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["distillation", "fine-tuning"])
def test_both_ways_are_timed_once_their_losses_are_equal(kind: str) -> None:
    rows = measure(1, (1, 2), kind=kind, smallest=True)
    assert [row["replicas"] for row in rows] == [1, 2]
    assert all(row["batched_ms"] > 0 and row["processes_ms"] > 0 and row["gain"] > 0 for row in rows)


def test_the_rows_are_drawn_and_listed(tmp_path: Path) -> None:
    rows = [
        {"replicas": 1, "batched_ms": 10.0, "processes_ms": 10.0, "gain": 1.0},
        {"replicas": 8, "batched_ms": 50.0, "processes_ms": 40.0, "gain": 0.8},
    ]
    assert table(rows).splitlines()[2].split() == ["8", "50.0", "ms", "40.0", "ms", "5.00x", "0.80x"]
    draw(rows, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_rounds_are_counted_from_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rounds", "0"])
    assert "--rounds must be at least 1, got 0" in capsys.readouterr().err
