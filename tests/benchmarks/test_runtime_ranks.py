"""Ranks by runtime: on times that are known, and a tiny run."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import runtime_ranks


def test_runtimes_that_order_alike_agree_and_the_interval_is_over_configurations() -> None:
    base = np.arange(1.0, 13.0)
    shuffled = base[[0, 1, 2, 4, 3, 5, 6, 8, 7, 9, 10, 11]]
    times = {name: 1e6 * np.outer(found, [1.0, 2.0, 1.0]) for name, found in (("eager", base), ("onnx", shuffled))}
    found = runtime_ranks.judged(times)  # type: ignore[arg-type]
    (pair,) = found["pairs"]
    assert pair["runtimes"] == ["eager", "onnx"]
    assert pair["tau"] == pytest.approx(1 - 2 * 2 / 66)  # two of 66 pairs are the other way round
    assert pair["interval"][0] < pair["tau"] <= pair["interval"][1] <= 1
    assert found["with_itself"] == {"eager": pytest.approx(1.0), "onnx": pytest.approx(1.0)}
    assert found["slowest_over_fastest"]["eager"] == pytest.approx(12.0)


def test_a_tiny_run_prints_every_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_ranks, "RUNTIMES", ("eager", "folded"))  # ONNX files are tried with Table 7
    file = tmp_path / "ranks.json"
    words = ["--smallest", "--configurations", "3", "--rounds", "2", "--json", str(file)]
    assert runtime_ranks.main(words) == 0
    printed = capsys.readouterr().out
    for text in ("eager and folded", "eager with itself", "folded with itself"):
        assert text in printed
    assert "3 configurations, cpu, 1 thread, 1 x 8, 2 rounds" in printed
    assert {len(found) for found in json.loads(file.read_text())["median_ms"].values()} == {3}


def test_one_configuration_has_no_rank(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        runtime_ranks.main(["--configurations", "1"])
    assert "--configurations must be at least 2, got 1" in capsys.readouterr().err
