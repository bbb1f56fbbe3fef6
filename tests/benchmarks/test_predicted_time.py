"""Predicted times against those of the committed run, and that what was fitted to one half holds on the other."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.predicted_time import HALF, PRICES, Timed, errors, fit, main, read_arms
from search.predict import Work

GALLERY = Path(__file__).parents[2] / "gallery" / "paper-cpu"


def test_prices_are_found_again_in_times_made_of_them() -> None:
    draw = np.random.default_rng(0)
    works = [Work(*(draw.random(3) * (1e12, 1e6, 1e9)).tolist()) for _ in range(6)]
    arms = [Timed(study="a", arm=str(at), seconds=work.seconds, work=work) for at, work in enumerate(works)]
    assert fit(arms) == pytest.approx(PRICES)
    assert errors(arms, 1.1 * PRICES) == pytest.approx({"mean": 0.1, "largest": 0.1, "total": 1.1})


def test_the_committed_run_took_what_is_predicted_and_half_of_it_predicts_the_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arms = read_arms(GALLERY)
    assert len(arms) == 40 and {arm.study for arm in arms} > set(HALF)
    assert main(["--gallery", str(GALLERY), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["errors"]
    assert len(found) == 3
    for name, error in found.items():
        assert error["mean"] < 0.08 and error["largest"] < 0.2 and 0.95 < error["total"] < 1.05, name
