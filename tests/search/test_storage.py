"""The Optuna study mirrors the trial files: rebuilt from them it is the study that asked and told."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.aim import Aim, aim_of, constraints, objective_values
from search.fingerprint import fingerprint
from search.record import Measurement, Proposal
from search.storage import Proposed, front, open_study, planned_proposals, propose, tell

Told = list[tuple[Proposal, Any]]


@pytest.fixture
def wide(make_search: Any) -> Any:
    """A search with 54 configurations, so that few asks are wasted on duplicates."""
    small = make_search()

    def space(trial: Any) -> Any:
        stack = trial.suggest_categorical("num_feed_forward", [1, 2, 3, 4, 5, 6])
        return replace(small.space(trial), num_feed_forward=stack)

    return replace(small, space=space, first=({"bottleneck_size": 8, "num_heads": 2, "num_feed_forward": 2},))


@pytest.fixture
def outcome(make_record: Any) -> Any:
    """Makes the record of a proposal: the wider the better and the slower; one head diverges."""

    def make(proposed: Proposed) -> Any:
        params = proposed.proposal.params
        width, heads = params["bottleneck_size"], params["num_heads"]
        accuracy = None if heads == 1 else 50.0 + width + heads / 3
        return make_record(proposed.spec, accuracy=accuracy, ratio=0.1 * width + 0.01 * heads)

    return make


def describe(study: optuna.Study) -> list[tuple[Any, ...]]:
    """All that matters of every trial."""
    return [
        (
            t.number,
            t.state,
            t.values,
            t.params,
            t.distributions,
            t.user_attrs.get("fingerprint"),
            t.user_attrs["status"],
        )
        for t in study.get_trials()
    ]


def run(path: Path, search: Any, outcome: Any, generations: int, told: Told | None = None) -> tuple[Any, Told]:
    """A search by ask and tell; `told` is what an earlier process had done."""
    told = list(told or [])
    study = open_study(path, search.name, told)
    known = {record.fingerprint for _, record in told}
    first = max((proposal.generation for proposal, _ in told), default=-1) + 1
    for generation in range(first, generations):
        for proposed in propose(study, search, generation, search.generation_size, known):
            record = outcome(proposed)
            tell(study, proposed.proposal, record)
            told.append((proposed.proposal, record))
            known.add(record.fingerprint)
    return study, told


def test_a_study_rebuilt_from_records_equals_the_one_that_asked_and_told(
    tmp_path: Path, wide: Any, outcome: Any
) -> None:
    asked, told = run(tmp_path / "asked.db", wide, outcome, generations=2)
    rebuilt = open_study(tmp_path / "rebuilt.db", "tiny-search", told[::-1])
    assert describe(rebuilt) == describe(asked)
    assert rebuilt.directions == asked.directions and rebuilt.metric_names == asked.metric_names
    assert front(rebuilt) == front(asked) != []
    assert {state for _, state, *_ in describe(asked)} <= {TrialState.COMPLETE, TrialState.FAIL}


def test_a_search_proposes_what_the_first_configurations_ask_and_then_new_ones(
    tmp_path: Path, wide: Any, outcome: Any
) -> None:
    study, told = run(tmp_path / "optuna.db", wide, outcome, generations=3)
    assert told[0][0].params == {"bottleneck_size": 8, "num_heads": 2, "num_feed_forward": 2}
    assert [proposal.number for proposal, _ in told] == list(range(len(told)))
    marks = [record.fingerprint for _, record in told]
    assert len(set(marks)) == 6  # two new configurations in each of three generations
    assert [trial.user_attrs["fingerprint"] for trial in study.get_trials()] == marks


def in_memory() -> optuna.Study:
    return optuna.create_study(directions=["maximize", "minimize"])


def test_duplicates_are_proposals_too_and_an_exhausted_space_ends_the_asking(make_search: Any) -> None:
    def space(trial: Any) -> Any:
        return replace(search.baseline.student, num_heads=trial.suggest_categorical("num_heads", [1, 2]))

    search = replace(make_search(), space=space, first=())
    study = in_memory()
    found = propose(study, search, 0, 3, set())
    assert len({fingerprint(one.spec) for one in found}) == 2
    assert len(found) == 3 * 20  # asked in vain until the limit
    known = {fingerprint(one.spec) for one in found}
    assert len(propose(study, search, 1, 1, known)) == 20


def test_a_resumed_search_proposes_what_an_uninterrupted_one_does(tmp_path: Path, wide: Any, outcome: Any) -> None:
    whole, told = run(tmp_path / "whole.db", wide, outcome, generations=3)
    for stopped_after in (1, 2):
        before = [(proposal, record) for proposal, record in told if proposal.generation < stopped_after]
        resumed, after = run(tmp_path / f"{stopped_after}.db", wide, outcome, generations=3, told=before)
        assert after == told and describe(resumed) == describe(whole)


def test_a_search_goes_on_in_the_database_that_an_earlier_process_left(tmp_path: Path, wide: Any, outcome: Any) -> None:
    _, told = run(tmp_path / "whole.db", wide, outcome, generations=2)
    _, before = run(tmp_path / "parts.db", wide, outcome, generations=1)
    resumed, after = run(tmp_path / "parts.db", wide, outcome, generations=2, told=before)
    assert after == told and len(resumed.get_trials()) == len(told)


def test_generations_and_sampler_seeds_have_proposals_of_their_own(make_search: Any) -> None:
    def proposals(generation: int, seed: int) -> list[dict[str, Any]]:
        search = make_search(sampler_seed=seed, first=())
        return [one.proposal.params for one in propose(in_memory(), search, generation, 5, set())]

    assert proposals(0, 0) == proposals(0, 0)
    assert proposals(1, 0) != proposals(0, 0)
    assert proposals(0, 1) != proposals(0, 0)


def test_what_was_asked_and_never_told_is_forgotten(tmp_path: Path, wide: Any, outcome: Any) -> None:
    search = wide
    study, told = run(tmp_path / "optuna.db", search, outcome, generations=1)
    propose(study, search, 1, 2, {record.fingerprint for _, record in told})
    assert len(study.get_trials()) > len(told)
    again = open_study(tmp_path / "optuna.db", search.name, told)
    assert len(again.get_trials()) == len(told)


def test_optuna_opens_the_file_by_itself(tmp_path: Path, wide: Any, outcome: Any) -> None:
    _, told = run(tmp_path / "optuna.db", wide, outcome, generations=1)
    storage = f"sqlite:///{tmp_path / 'optuna.db'}"
    assert [one.study_name for one in optuna.get_all_study_summaries(storage=storage)] == ["tiny-search"]
    study = optuna.load_study(study_name="tiny-search", storage=storage)
    assert study.directions == [optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE]
    assert study.metric_names == ["validation/accuracy", "latency_ratio"]
    assert len(study.trials) == len(told)
    for trial, (proposal, record) in zip(study.trials, told, strict=True):
        assert trial.params == proposal.params
        if record.status == "complete":
            assert trial.values == [record.value("validation/accuracy"), record.value("latency_ratio")]


def test_a_trial_that_diverged_or_failed_has_no_values(tmp_path: Path, make_search: Any, make_record: Any) -> None:
    search = make_search()
    study = open_study(tmp_path / "optuna.db", search.name, [])
    first, second = propose(study, search, 0, 2, set())
    tell(study, first.proposal, make_record(first.spec, accuracy=None))
    tell(study, second.proposal, make_record(second.spec, status="failed"))
    assert [(t.state, t.values, t.user_attrs["status"]) for t in study.get_trials()] == [
        (TrialState.FAIL, None, "diverged"),
        (TrialState.FAIL, None, "failed"),
    ]
    assert front(study) == []


def test_a_trial_is_told_once(tmp_path: Path, make_search: Any, make_record: Any) -> None:
    search = make_search()
    study = open_study(tmp_path / "optuna.db", search.name, [])
    (first,) = propose(study, search, 0, 1, set())
    tell(study, first.proposal, make_record(first.spec, accuracy=60.0))
    tell(study, first.proposal, make_record(first.spec, accuracy=99.0))
    assert study.get_trials()[0].values == [60.0, 0.5]


@pytest.mark.parametrize("damage", ["other value", "other params", "one too many", "garbage", "other name"])
def test_a_database_that_disagrees_with_the_files_is_rebuilt(
    tmp_path: Path, wide: Any, make_record: Any, outcome: Any, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "optuna.db"
    asked, told = run(path, wide, outcome, generations=1)
    expected = describe(asked)
    if damage == "other value":
        proposal, record = next((p, r) for p, r in told if r.status == "complete")
        changed = [(p, make_record(record.spec, accuracy=1.0) if p is proposal else r) for p, r in told]
        path.unlink()
        open_study(path, "tiny-search", changed)
    elif damage == "other params":
        path.unlink()
        open_study(path, "tiny-search", [(told[1][0], told[0][1])] * len(told))
    elif damage == "one too many":
        asked.ask()
    elif damage == "garbage":
        path.write_bytes(b"no database at all" * 100)
    else:
        path.unlink()
        open_study(path, "another", told)
    with caplog.at_level(logging.WARNING):
        assert describe(open_study(path, "tiny-search", told)) == expected


def test_a_database_that_agrees_is_used_as_it_is(tmp_path: Path, wide: Any, outcome: Any) -> None:
    path = tmp_path / "optuna.db"
    study, told = run(path, wide, outcome, generations=1)
    study.set_user_attr("seen by", "a person")
    assert open_study(path, "tiny-search", told).user_attrs == {"seen by": "a person"}


# A cap on latency

CAPPED = Aim(max_latency_ms=10.0)


def with_ms(record: Any, latency_ms: float) -> Any:
    measured = Measurement(metric="latency_ms", value=latency_ms, unit="ms", n=20, conditions={})
    return replace(record, measurements=(*record.measurements, measured))


def capped(path: Path, search: Any, make_record: Any, latencies: list[float]) -> tuple[Any, Told]:
    """A search whose trials take so long; the slower the more accurate."""
    study = open_study(path, search.name, [], CAPPED)
    told: Told = []
    proposals = propose(study, search, 0, len(latencies), set())
    marks = list(dict.fromkeys(fingerprint(one.spec) for one in proposals))
    for one in proposals:
        latency_ms = latencies[marks.index(fingerprint(one.spec))]
        record = with_ms(make_record(one.spec, accuracy=50.0 + latency_ms, ratio=latency_ms / 20), latency_ms)
        tell(study, one.proposal, record, CAPPED)
        told.append((one.proposal, record))
    return study, told


def test_optuna_is_told_by_how_much_a_trial_is_over_the_cap_and_the_front_is_what_meets_it(
    tmp_path: Path, wide: Any, make_record: Any
) -> None:
    path = tmp_path / "optuna.db"
    study, told = capped(path, wide, make_record, [8.0, 12.0, 10.0])
    expected = [record.value("latency_ms") - 10.0 for _, record in told]
    assert [trial.constraints for trial in study.get_trials()] == [{"latency_ms": excess} for excess in expected]
    under = [record.fingerprint for _, record in told if record.value("latency_ms") <= 10.0]
    assert set(front(study)) == set(under) and len(set(under)) == 2
    stored = optuna.load_study(study_name="tiny-search", storage=f"sqlite:///{path}")
    assert [trial.constraints["latency_ms"] for trial in stored.trials] == expected
    rebuilt = open_study(tmp_path / "rebuilt.db", "tiny-search", told, CAPPED)
    assert [trial.constraints for trial in rebuilt.get_trials()] == [trial.constraints for trial in study.get_trials()]
    assert describe(rebuilt) == describe(study) and front(rebuilt) == front(study)


def test_where_nothing_meets_the_cap_the_nearest_miss_stands_for_the_front(
    tmp_path: Path, wide: Any, make_record: Any
) -> None:
    study, told = capped(tmp_path / "optuna.db", wide, make_record, [14.0, 12.0, 30.0])
    assert study.best_trials == []
    assert front(study) == [next(record.fingerprint for _, record in told if record.value("latency_ms") == 12.0)]


def test_a_database_of_another_cap_or_none_is_rebuilt(tmp_path: Path, wide: Any, make_record: Any) -> None:
    path = tmp_path / "optuna.db"
    _, told = capped(path, wide, make_record, [8.0, 12.0])
    for aim, excess in ((Aim(), None), (Aim(max_latency_ms=5.0), 3.0), (CAPPED, -2.0)):
        study = open_study(path, "tiny-search", told, aim)
        assert study.get_trials()[0].constraints.get("latency_ms") == excess


def test_a_capped_search_goes_on_proposing_with_what_it_was_told(tmp_path: Path, wide: Any, make_record: Any) -> None:
    study, told = capped(tmp_path / "optuna.db", wide, make_record, [8.0, 12.0, 14.0, 9.0])
    found = propose(study, wide, 1, 2, {record.fingerprint for _, record in told})
    assert len({fingerprint(one.spec) for one in found} - {record.fingerprint for _, record in told}) == 2


def test_what_has_no_score_in_the_form_that_is_timed_or_no_milliseconds_for_the_cap_has_no_values(
    tmp_path: Path, make_search: Any, make_record: Any
) -> None:
    search = make_search()
    (one,) = propose(in_memory(), search, 0, 1, set())
    record = make_record(one.spec)
    int8 = replace(record.measurements[0], metric="onnx-int8/validation/accuracy", value=68.0)
    aim = aim_of(replace(search, latency=replace(search.latency, runtime="onnx-int8")))
    scored = replace(record, measurements=(*record.measurements, int8))
    assert objective_values(record, aim) is None and objective_values(scored, aim) == [68.0, 0.5]
    assert objective_values(record, CAPPED) is None and objective_values(record, Aim()) == [70.0, 0.5]
    assert objective_values(with_ms(record, 3.0), CAPPED) == [70.0, 0.5]
    assert constraints(record, CAPPED) == constraints(with_ms(record, 3.0), Aim()) == {}
    assert constraints(with_ms(record, 3.0), CAPPED) == {"latency_ms": -7.0}


def test_every_arm_and_seed_of_an_ablation_is_an_optuna_trial(
    tmp_path: Path, make_ablation: Any, make_record: Any
) -> None:
    proposals = planned_proposals(make_ablation(), 0)
    assert [one.proposal.params for one in proposals] == [
        {"arm": arm, "seed": seed} for seed in range(6) for arm in ("gelu", "relu")
    ]
    assert [one.proposal.arm for one in proposals[:2]] == ["gelu", "relu"]
    told = [(one.proposal, make_record(one.spec, role="arm")) for one in proposals]
    study = open_study(tmp_path / "optuna.db", "tiny-ablation", told)
    assert [trial.user_attrs["fingerprint"] for trial in study.trials] == [fingerprint(one.spec) for one in proposals]
