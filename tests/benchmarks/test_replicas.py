"""Replicas in one batched computation have the losses of each alone; the table and the figure are drawn."""

from pathlib import Path

import pytest
import torch

from benchmarks.replicas import draw, main, replicated_step, table


def test_replicas_have_the_losses_of_each_trained_alone(smoke_data: Path) -> None:
    """The first replica has the same weights and batch however many there are."""
    one, two = (replicated_step(count, "cpu", smoke_data, smallest=True) for count in (1, 2))
    alone = torch.stack([one() for _ in range(2)])
    together = torch.stack([two() for _ in range(2)])
    assert together.shape == (2, 2)
    assert alone[1] < alone[0]
    torch.testing.assert_close(together[:, 0], alone[:, 0], rtol=1e-3, atol=0.0)
    assert not torch.allclose(together[:, 1], alone[:, 0], rtol=1e-3)


def test_the_rows_are_drawn_and_listed(tmp_path: Path) -> None:
    rows = [
        {"replicas": 1, "batched_ms": 10.0, "processes_ms": 10.0, "gain": 1.0},
        {"replicas": 8, "batched_ms": 50.0, "processes_ms": 40.0, "gain": 0.8},
    ]
    assert table(rows).splitlines()[2].split() == ["8", "50.0", "ms", "40.0", "ms", "5.00x", "0.80x"]
    assert table(rows).splitlines()[-1].endswith("; not run")
    draw(rows, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_rounds_are_counted_from_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rounds", "0"])
    assert "--rounds must be at least 1, got 0" in capsys.readouterr().err
