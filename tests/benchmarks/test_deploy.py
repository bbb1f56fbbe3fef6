"""The deployment benchmark: rows, goals and profiles from known times, and a whole run on a tiny model."""

from typing import Any

import numpy as np
import pytest

from benchmarks import deploy
from benchmarks.profiles import CALLS, by_operation, profile_text

PEERS = {
    "transformers eager": None,
    "transformers ONNX float32": "transformers eager",
    "folded and packed eager": "transformers eager",
    "ONNX float32": "transformers ONNX float32",
    "ONNX dynamic int8": "ONNX float32",
    "ONNX static int8": "ONNX float32",
}
MILLISECONDS = (50.0, 40.0, 35.0, 36.0, 18.0, 20.0)


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Six forms in three rounds, the second of which is twice as slow for all."""
    samples = {name: [ms * 1e6, 2e6 * ms, ms * 1e6] for name, ms in zip(PEERS, MILLISECONDS, strict=True)}
    return deploy.rows_of(PEERS, samples, flops=10**9, peak=1e11)


def test_a_row_has_medians_ratios_of_each_round_share_and_floor(rows: list[dict[str, Any]]) -> None:
    first, packed = rows[0], rows[2]
    assert first["median_ms"] == 50.0 and first["share_of_peak"] == pytest.approx(0.2) and "ratio" not in first
    assert packed["ratio"] == pytest.approx(0.7) and packed["ratio_interval"] == pytest.approx([0.7, 0.7])
    assert packed["floor"] == pytest.approx(10 / 50)


def test_a_goal_is_judged_by_the_best_of_its_forms(rows: list[dict[str, Any]]) -> None:
    eager, exported, int8 = deploy.goals(rows)
    assert eager["met"] and eager["ratio"] == pytest.approx(0.7)
    assert not exported["met"] and exported["ratio"] == pytest.approx(0.9)
    assert int8["met"] and int8["form"] == "ONNX dynamic int8" and int8["ratio"] == pytest.approx(0.5)


def test_the_table_names_met_and_missed_goals(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["error"] = 0.0
    reached = deploy.goals(rows)
    reached[1]["profile_ms"] = {"MatMul": 3.0, "Add": 1.0}
    document = {"length": 8, "flops": 10**9, "matrix_products_flops_per_second": {"small": 5e10, "large": 1e11}}
    printed = deploy.table(document | {"rows": rows, "goals": reached})
    assert "peak 100 GFLOP/s (large), at which a call takes 10.0 ms" in printed
    assert "got 0.900 0.900 to 0.900 (ONNX float32, floor 0.250): MISSED" in printed
    assert "4.0 ms: MatMul 3.00 ms (75%), Add 1.00 ms (25%)" in printed


def test_errors_are_relative_to_the_largest_value_of_the_reference() -> None:
    outputs = {"a": np.array([2.0, -4.0]), "b": np.array([2.0, -3.0])}
    assert deploy.errors_against(outputs, "a") == {"a": 0.0, "b": 0.25}


def test_an_onnx_profile_leaves_the_first_call_out() -> None:
    events = [
        {
            "cat": "Node",
            "name": "x_kernel_time",
            "ts": call,
            "dur": 9e9 if call == 0 else 2000,
            "args": {"op_name": "Add"},
        }
        for call in range(CALLS + 1)
    ]
    assert by_operation([*events, {"cat": "Session", "name": "run", "ts": 0}]) == {"Add": pytest.approx(2.0)}
    assert profile_text({"Add": 2.0}) == "2.0 ms: Add 2.00 ms (100%)"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lengths", "128,x"], "--lengths must be numbers from 3 to 512 with commas, got '128,x'"),
        (["--rounds", "0"], "--rounds must be at least 1, got 0"),
    ],
)
def test_wrong_options_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        deploy.main(words)
    assert message in capsys.readouterr().err
