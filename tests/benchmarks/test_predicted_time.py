"""Predicted times against those that were measured, and that what was fitted to one half holds on the other."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.predicted_time import HALF, PRICES, TIMES, Timed, errors, fit, main, read_arms
from search.predict import Work
from studies.reproduction import PAPERS_STUDIES

GALLERY = Path(__file__).parents[2] / "gallery" / "paper-cpu"


def test_prices_are_found_again_in_times_made_of_them() -> None:
    draw = np.random.default_rng(0)
    works = [Work(*(draw.random(3) * (1e12, 1e6, 1e9)).tolist()) for _ in range(6)]
    arms = [Timed(study="a", arm=str(at), seconds=work.seconds, work=work) for at, work in enumerate(works)]
    assert fit(arms) == pytest.approx(PRICES)
    assert errors(arms, 1.1 * PRICES) == pytest.approx({"mean": 0.1, "largest": 0.1, "total": 1.1})


def errors_of(times: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, float]]:
    assert main(["--times", str(times), "--json"]) == 0
    found: dict[str, dict[str, float]] = json.loads(capsys.readouterr().out)["errors"]
    assert len(found) == 3
    return found


def test_every_arm_took_what_is_predicted_and_half_of_them_predict_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arms = read_arms(TIMES)
    assert len(arms) == 24 and {arm.study for arm in arms} == set(PAPERS_STUDIES)
    for name, error in errors_of(TIMES, capsys).items():
        assert error["mean"] < 0.08 and error["largest"] < 0.2 and 0.93 < error["total"] < 1.07, name


def test_half_of_the_committed_run_of_an_earlier_engine_predicts_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    arms = read_arms(GALLERY)
    assert len(arms) == 40 and {arm.study for arm in arms} > set(HALF)
    for name, error in errors_of(GALLERY, capsys).items():
        if name.startswith("fitted"):
            assert error["mean"] < 0.08 and error["largest"] < 0.2 and 0.95 < error["total"] < 1.05, name
