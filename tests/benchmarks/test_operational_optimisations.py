"""Table 7's benchmark on tiny encoders, and what it says of times that are known."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import operational_optimisations as table_7
from benchmarks.passes import AGAIN, Timings
from benchmarks.profiles import kind, shares


def test_a_tiny_run_has_every_row_profile_and_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    four = table_7.variants(smallest=True)
    names = ["LayerNorm & gelu", "NoNorm & relu"]  # an export takes seconds
    monkeypatch.setattr(table_7, "variants", lambda *, smallest: {name: four[name] for name in names})
    runtimes = ("eager", "folded", "onnx", "onnx-int8")
    words = [word for runtime in runtimes for word in ("--runtime", runtime)]
    file = tmp_path / "table.json"
    assert table_7.main(["--smallest", "--rounds", "2", *words, "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert [(one["runtime"], one["encoder"]) for one in found["rows"]] == [
        (runtime, name) for runtime in runtimes for name in (*names, f"{names[0]}{AGAIN}")
    ]
    assert found["rounds"] == 2 and all(one["ms"] > 0 for one in found["rows"])
    assert [one["encoder"] for one in found["bounds"]] == names
    for one in found["profiles"]:
        assert sum(one["shares"].values()) == pytest.approx(1.0)
        assert one["shares"]["matrix products"] > 0
        folded_away = one["runtime"] != "eager" and one["encoder"].startswith("NoNorm")
        assert ("norms" in one["shares"]) != (folded_away and one["runtime"] != "folded"), one
    printed = capsys.readouterr().out
    assert "tiny encoders, batch 1 x 128, 1 thread, float32" in printed
    assert "-bound; its operations on one token take" in printed


def timings() -> Timings:
    milliseconds = {
        ("LayerNorm & gelu", "eager"): 100.0,
        ("NoNorm & relu", "eager"): 32.0,
        ("NoNorm & relu", "compile"): 24.0,
        ("NoNorm & relu, one token", "eager"): 8.0,
    }
    slow = np.array([1.0, 2.0, 1.0])  # the second round is twice as slow for all
    return Timings({name: 1e6 * ms * slow for name, ms in milliseconds.items()}, 3)  # type: ignore[misc]


def test_a_row_is_a_ratio_of_the_same_round_beside_the_papers() -> None:
    found = table_7.row(timings(), "NoNorm & relu", "eager")
    assert found["ms"] == 32.0 and found["ratio"] == pytest.approx(0.32)
    assert found["interval"] == pytest.approx([0.32, 0.32]) and found["paper"] == pytest.approx(62 / 192)


def test_eager_is_bound_by_launching_where_one_token_takes_more_than_half() -> None:
    found = table_7.bound(timings(), "NoNorm & relu")
    assert found["bound"] == "compute" and found["one_token"]["ratio"] == pytest.approx(0.25)
    assert found["compiled"]["ratio"] == pytest.approx(0.75)
    said = table_7.table({"rows": [], "profiles": [], "bounds": [found]})
    assert said == (
        "NoNorm & relu, eager: compute-bound; its operations on one token take 0.25 of eager (0.25 to 0.25); "
        "compiled takes 0.75 of eager (0.75 to 0.75)"
    )


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("aten::native_layer_norm", "norms"),
        ("SkipLayerNormalization", "norms"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention"),
        ("BiasGelu", "activation"),
        ("MatMulIntegerToFloat", "matrix products"),
        ("CompiledFxGraph", "generated code"),
        ("aten::add", "rest"),
    ],
)
def test_an_operation_is_of_the_kind_that_its_name_tells(operation: str, expected: str) -> None:
    assert kind(operation) == expected
    assert shares({operation: 3.0, "Cast": 1.0})[expected] == (1.0 if expected == "rest" else 0.75)


def test_an_impossible_session_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert table_7.main(["--smallest", "--rounds", "0"]) == 2
    assert "most rounds of a latency session must be a whole number of at least 1, got 0" in capsys.readouterr().err
