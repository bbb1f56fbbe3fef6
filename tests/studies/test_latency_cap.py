"""A whole search with a cap on int8 latency, from the command to the page; one of two configurations meets it."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import optuna
import pytest

from search.data.prepare import prepare
from search.latency import measure
from search.latency.measure import measure_latency
from search.latency.protocol import fixed_rounds
from search.latency.session import LatencySeries, Outcome
from search.study import Search, Study, Suggests
from studies import catalogue
from studies.command_line import main

RUN = ("run", "tiny", "--scale", "smoke", "--runs", "runs", "--tasks", "acceptability", "--runtime", "onnx-int8")
SHALLOW, DEEP = 1, 16
"""Stacked feed-forwards of the two configurations: far enough apart for a busy machine."""
CAP = 2.1
"""Between what the two take in int8, the shallow one being 1."""


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "search" / "tiny_study.py"
    place = importlib.util.spec_from_file_location("tiny_study", path)
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def two_configurations(tiny: ModuleType, data: Any) -> Search:
    """The tiny search with two configurations, both tried; the shallow one is the reference."""
    search: Search = tiny.tiny_search(data, num_trials=2, confirmation_seeds=())
    baseline = replace(search.baseline, student=replace(search.baseline.encoder, num_feed_forward=SHALLOW))

    def space(trial: Suggests) -> Any:
        stack = trial.suggest_categorical("num_feed_forward", [SHALLOW, DEEP])
        return replace(baseline.encoder, num_feed_forward=stack)

    first = tuple({"num_feed_forward": stack} for stack in (SHALLOW, DEEP))
    return replace(search, baseline=baseline, space=space, first=first, latency_rounds=15)


@pytest.fixture
def search(tiny: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """That search as the only study, in a folder of its own whose data are prepared."""
    study = Study(
        name="tiny",
        question="Which is best under the cap?",
        sources=lambda scale: tiny.SOURCES,
        declare=lambda scale, data: two_configurations(tiny, data),
    )
    module = ModuleType("capped_study")
    module.STUDY = study  # type: ignore[attr-defined]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(sys.modules, "capped_study", module)
    monkeypatch.setitem(catalogue.MODULES, "tiny", "capped_study")
    return two_configurations(
        tiny, prepare(replace(tiny.SOURCES, tasks=("acceptability",)), tmp_path / "runs" / "data")
    )


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are real, in units in which the reference takes 1 ms: a busy machine changes speed between them."""
    original = measure.measure_until_kept

    def scaled(*about: Any, **options: Any) -> Outcome:
        outcome = original(*about, **options)
        assert outcome.session is not None
        unit = median(outcome.session.reference.forward_ns) / 1e6

        def in_units(series: LatencySeries) -> LatencySeries:
            return replace(series, forward_ns=tuple(sample / unit for sample in series.forward_ns))

        session = replace(
            outcome.session,
            reference=in_units(outcome.session.reference),
            control=in_units(outcome.session.control),
            candidates=tuple(replace(one, series=in_units(one.series)) for one in outcome.session.candidates),
        )
        return Outcome(session, outcome.refused)

    monkeypatch.setattr(measure, "measure_until_kept", scaled)


def records_of(run: Path) -> dict[int, dict[str, float]]:
    """Measured values by the number of stacked feed-forwards."""
    found = {}
    for path in (run / "trials").glob("*.json"):
        record = json.loads(path.read_text())
        values = {one["metric"]: one["value"] for one in record["measurements"]}
        found[record["spec"]["student"]["num_feed_forward"]] = values
    return found


def constraints_of(run: Path) -> dict[int, tuple[float, list[float]]]:
    """What Optuna has stored: constraint and values by the number of stacked feed-forwards."""
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{run / 'optuna.db'}")
    assert study.metric_names == ["onnx-int8/validation/accuracy", "latency_ratio"]
    found = {
        trial.params["num_feed_forward"]: (trial.constraints["latency_ms"], trial.values) for trial in study.trials
    }
    assert [trial.params["num_feed_forward"] for trial in study.best_trials] == [SHALLOW]
    study._storage.remove_session()
    return found


@pytest.mark.slow
def test_a_search_under_a_cap_in_int8_from_the_command_to_the_page(
    search: Search, steady: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cap = CAP
    run = tmp_path / "runs" / "tiny-smoke"
    assert main((*RUN, "--threads", "1", "--max-latency-ms", repr(cap))) == 0
    printed = capsys.readouterr().out
    study = json.loads((run / "study.json").read_text())
    assert (study["latency"]["runtime"], study["latency"]["threads"], study["max_latency_ms"]) == ("onnx-int8", 1, cap)
    assert f"--runtime onnx-int8 --threads 1 --max-latency-ms {cap!r}" in study["command"]
    records, stored = records_of(run), constraints_of(run)
    assert set(records) == {SHALLOW, DEEP}
    for stack, values in records.items():
        assert stored[stack] == (
            pytest.approx(values["latency_ms"] - cap),
            [values["onnx-int8/validation/accuracy"], values["latency_ratio"]],
        )
        assert {"accuracy", "onnx-int8/accuracy", "onnx-int8/acceptability/accuracy"} <= set(values)
    assert stored[SHALLOW][0] < 0 < stored[DEEP][0]
    assert records[SHALLOW]["measured_latency_ms"] > 0 and "measured_latency_ms" not in records[DEEP]
    case = json.loads((run / "latency" / "front.json").read_text())["case"]
    assert (case["runtime"], case["threads"], case["device"]) == ("onnx-int8", 1, "cpu")
    page = (run / "index.html").read_text()
    assert "<strong>Under the cap</strong> of" in page and "it meets the cap with a probability of" in page
    assert "<strong>Accuracy is that of onnx-int8</strong>" in page
    assert "<strong>Latency was measured twice</strong>" in page
    assert "Under the cap of" in printed
    before = {path: path.read_bytes() for path in (run / "trials").iterdir()}
    assert main((*RUN, "--threads", "1", "--max-latency-ms", repr(cap), "--json")) == 0
    assert {path: path.read_bytes() for path in (run / "trials").iterdir()} == before
    capsys.readouterr()
    for changed, said in (
        (("--threads", "1"), "asked for was in onnx-int8 with 1 thread, without a cap"),
        (
            ("--threads", "2", "--max-latency-ms", repr(cap)),
            f"asked for was in onnx-int8 with 2 threads, at most {cap} ms",
        ),
    ):
        assert main((*RUN, *changed)) == 2
        line = capsys.readouterr().err
        assert said in line and line.startswith(
            "thinbert: tiny-smoke was begun with latency in onnx-int8 with 1 thread"
        )


def test_a_runtime_that_is_not_installed_or_too_many_threads_are_refused_before_anything_trains(
    search: Search, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: str) -> str:
        assert main((*RUN, *arguments)) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert not (tmp_path / "runs" / "tiny-smoke").exists() and not (tmp_path / "runs" / "teachers").exists()
        return err

    assert "threads must be at most the cores that this process may use" in refused("--threads", "4096")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    line = refused("--max-latency-ms", "20")
    assert "latency cannot be measured in onnx-int8: ONNX needs the package onnxruntime" in line
    assert "pip install 'thinbert[onnx]'" in line


def test_where_nothing_meets_a_cap_on_predicted_latency_the_nearest_miss_is_measured_for_real(
    tiny: ModuleType, search: Search, tmp_path: Path
) -> None:
    from search.latency.predictor import profile
    from search.run_folder import study_document
    from search.study import mark_of_space

    encoders = {str(stack): replace(search.baseline.encoder, num_feed_forward=stack) for stack in (SHALLOW, 4, 8, DEEP)}
    sessions = [
        measure_latency(encoders, search.baseline.encoder, case, seed=0, protocol=fixed_rounds(3))
        for case in (search.latency, replace(search.latency, batch=1, length=1))
    ]
    found = profile(sessions[0], sessions[1], search.name, mark_of_space(search))
    capped = replace(search, profile=found, max_latency_ms=1e-6)
    assert study_document(capped, {})["max_latency_ms"] == 1e-6
    said: list[str] = []
    tiny.drive(capped, tmp_path / "runs", said.append)
    run = tmp_path / "runs" / "tiny-smoke"
    records = records_of(run)
    assert "measured_latency_ms" in records[SHALLOW] and "measured_latency_ms" not in records[DEEP]
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{run / 'optuna.db'}")
    assert study.best_trials == []
    assert {trial.params["num_feed_forward"]: trial.constraints["latency_ms"] for trial in study.trials} == {
        stack: pytest.approx(values["latency_ms"] - 1e-6) for stack, values in records.items()
    }
    study._storage.remove_session()
    from reports.summary import cap_lines

    (line,) = cap_lines(run)
    assert line.startswith("No configuration meets the cap of 1e-06 ms (eager, 1 thread). The nearest, ")
    assert "too many; its 95 % interval is" in line and line.endswith("with a probability of under 1 %.")
