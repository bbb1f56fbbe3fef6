"""The two ways of a knowledge-transfer step compute the same, and the table says what is missing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import transfer_work
from benchmarks.transfer_step import main, table, verdicts
from benchmarks.transfer_work import KINDS, Work, _replicas, _stepper, benchmark_trial, flops
from model_zoo.cost import cost
from search.training.replica_stage import batched_attention
from search.trial import TrialSpec


@pytest.fixture(autouse=True)
def quiet_transformers() -> Iterator[None]:
    module = pytest.importorskip("transformers")
    module.logging.set_verbosity_error()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trial(smoke_data: Path) -> TrialSpec:
    return benchmark_trial("smoke", smoke_data)


def work(way: str, kind: str, folder: Path) -> Work:
    return Work(way=way, kind=kind, scale="smoke", device="cpu", seeds=(0,), threads=1, lookahead=False, folder=folder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_all_ways_have_the_same_losses(
    trial: TrialSpec, smoke_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(transfer_work, "SHARED_STEPS", 3)
    losses = {}
    for way in ("usual", "engine", "shared"):
        step = _stepper(work(way, kind, smoke_data), trial, 0, tmp_path)
        losses[way] = [step(number) for number in range(3)]
    assert losses["engine"] == pytest.approx(losses["usual"], rel=1e-3)
    assert losses["shared"] == losses["engine"]
    both = work("replicas", kind, smoke_data)._replace(seeds=(0, 1))
    with batched_attention():
        step_both = _replicas(both, trial)
        together = [step_both(number) for number in range(3)]
    assert [first for first, _ in together] == pytest.approx(losses["engine"], rel=1e-3)
    assert all(first != second for first, second in together)


def test_a_progressive_step_is_cheaper_than_all_blocks(trial: TrialSpec) -> None:
    progressive, whole = (flops(trial, kind, 8) for kind in ("progressive", "all blocks"))
    assert 0.5 * whole < progressive < whole
    assert flops(trial, "distillation", 16) == 2 * whole


def test_a_teacher_that_does_not_run_is_no_work(trial: TrialSpec) -> None:
    assert trial.teacher is not None
    both, student = (flops(trial, "all blocks", 8, teacher=teacher) for teacher in (True, False))
    assert student == pytest.approx(3 * 8 * cost(trial.student, trial.data.length).flops)
    assert both - student == pytest.approx(8 * cost(trial.teacher.student, trial.data.length).flops)


def test_a_missing_gpu_is_said_and_no_number_stands_in() -> None:
    rows: list[dict[str, Any]] = [{"device": "cuda", "seeds": 8, "kind": "progressive"}]
    assert table(rows).splitlines()[1].split() == ["cuda", "8", "progressive", "no", "GPU"]
    assert verdicts(rows) == ""


def test_a_goal_is_met_or_missed() -> None:
    row = {"device": "cpu", "seeds": 1, "kind": "progressive", "way": "engine"}
    assert verdicts([row | {"ratio": 1.5}]) == "cpu, 1 seeds, progressive, engine: 1.50x, goal 1.5x: met"
    assert verdicts([row | {"ratio": 1.49}]).endswith("goal 1.5x: MISSED")


def test_rounds_are_counted_from_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rounds", "0"])
    assert "--rounds must be at least 1, got 0" in capsys.readouterr().err
