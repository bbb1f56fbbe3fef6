"""The benchmark of matrix products, in one round and on a machine without oneDNN."""

import re

import pytest

from benchmarks import products
from search.training import products as engine


def test_no_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        products.main(["--rounds", "0"])
    assert "--rounds must be at least 1, got 0" in capsys.readouterr().err


def test_a_machine_without_onednn_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "has_onednn", lambda: False)
    assert products.main(["--rounds", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: this torch has no oneDNN")


@pytest.mark.skipif(not engine.has_onednn(), reason="needs a torch with oneDNN on an x86 processor")
def test_a_row_has_both_times_their_ratio_and_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "TOKENS", 8)
    line = products._line("8 tokens", products._products((64, 16)), rounds=3, calls=1, floor=1e-6)
    own, other, floor = (float(found) for found in re.findall(r"([\d.]+) ms", line))
    assert own > 0 and other > 0 and floor == 0.001
    assert re.search(r"[\d.]+x  +[\d.]+ to [\d.]+", line)
