"""The race of learning rates: who wins, that it is run once, and that the outcome is in what is compared."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    place = importlib.util.spec_from_file_location("tiny_study", Path(__file__).with_name("tiny_study.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def prepared(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    from search.data.prepare import prepare

    runs = tmp_path_factory.mktemp("prepared")
    return runs, prepare(tiny.SOURCES, runs / "data")


@pytest.fixture(scope="module")
def finished(tiny: ModuleType, prepared: tuple[Path, Any]) -> Path:
    """The folder of runs of a raced ablation that nobody interrupted; the largest rate diverges."""
    runs, data = prepared
    tiny.drive(tiny.tiny_race(data), runs)
    return runs


@pytest.fixture
def runs(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be damaged or gone on with."""
    shutil.copytree(finished, tmp_path / "runs")
    return tmp_path / "runs"


def trained(tiny: ModuleType, study: Any, runs: Path) -> set[str]:
    """Go on with a run; the trials that did any training meanwhile."""
    seen: set[str] = set()
    tiny.drive(study, runs, progress=lambda mark, stage, seconds: seen.add(mark))
    return seen - {"latency"}


def finish(runner: Any, accuracy: float | None) -> Any:
    from search.fingerprint import fingerprint
    from search.race import Finish

    status: Any = "diverged" if accuracy is None else "complete"
    return Finish(fingerprint=fingerprint(runner.spec), rate=runner.rate, status=status, accuracy=accuracy)


def winners(study: Any, *accuracies: float | None) -> dict[str, float]:
    from search.race import choose, contenders

    runners = contenders(study)
    ends = [finish(runner, accuracy) for runner, accuracy in zip(runners, accuracies, strict=True)]
    return {race.norm: race.rate for race in choose(runners, {end.fingerprint: end for end in ends})}


def both_norms(make_ablation: Any, make_spec: Any) -> Any:
    """Three arms, the last with another norm."""
    from search.study import Arm, Race

    study = make_ablation(scale="smoke", race=Race(candidates=(1e-4, 1e-3, 1e-2), seed=99))
    other = Arm(name="no-norm", because="cheaper", spec=make_spec(with_teacher=True, norm="no_norm"))
    return replace(study, arms=(*study.arms, other))


def test_the_best_validation_accuracy_wins_and_of_equal_ones_the_smaller_rate(
    make_ablation: Any, make_spec: Any
) -> None:
    study = both_norms(make_ablation, make_spec)
    assert winners(study, 50, 70, 60, 80, 80, 75) == {"layer_norm": 1e-3, "no_norm": 1e-4}


def test_a_diverged_candidate_loses_to_any_other(make_ablation: Any, make_spec: Any) -> None:
    study = both_norms(make_ablation, make_spec)
    assert winners(study, None, None, 1, 0, None, None) == {"layer_norm": 1e-2, "no_norm": 1e-4}


def test_a_norm_whose_candidates_all_diverge_is_an_error_that_names_them(make_ablation: Any, make_spec: Any) -> None:
    study = both_norms(make_ablation, make_spec)
    rule = r"the race of no_norm needs a candidate that trains .*0\.0001 \(diverged\), 0\.001 \(diverged\), 0\.01 \(div"
    with pytest.raises(ValueError, match=rule):
        winners(study, 50, 70, 60, None, None, None)


def test_each_norm_races_its_first_arm_on_the_seed_outside_and_fine_tuning_keeps_its_rate(
    make_ablation: Any, make_spec: Any
) -> None:
    from search.race import contenders

    found = contenders(both_norms(make_ablation, make_spec))
    assert [(one.norm, one.arm, one.rate) for one in found] == [
        (norm, arm, rate)
        for norm, arm in (("layer_norm", "gelu"), ("no_norm", "no-norm"))
        for rate in (1e-4, 1e-3, 1e-2)
    ]
    for one in found:
        recipe = one.spec.recipe
        assert one.spec.seed == one.spec.teacher.seed == 99
        assert recipe.pre_training.optimizer.learning_rate == one.rate
        assert recipe.knowledge_transfer.optimizer.learning_rate == one.rate
        assert recipe.fine_tuning == make_spec(with_teacher=True).recipe.fine_tuning
        assert one.spec.teacher == make_spec(with_teacher=True, seed=99).teacher


def test_a_race_on_a_seed_of_the_study_is_refused(make_ablation: Any) -> None:
    from search.study import Race, plan

    with pytest.raises(ValueError, match=r"on a seed outside the study, got 3, one of \(0, 1, 2, 3, 4, 5\)"):
        plan(make_ablation(race=Race(candidates=(1e-4, 1e-3), seed=3)))


@pytest.mark.parametrize("candidates", [(), (1e-3,), (1e-3, 1e-3, 1e-2)])
def test_a_race_needs_different_candidates(candidates: tuple[float, ...]) -> None:
    from search.study import Race

    with pytest.raises(ValueError, match="two or more different candidates, got"):
        Race(candidates=candidates, seed=99)


def test_arms_that_differ_only_in_a_raced_rate_are_refused(make_ablation: Any) -> None:
    from search.race import contenders, with_rate
    from search.study import Race

    study = make_ablation(race=Race(candidates=(1e-4, 1e-3), seed=99))
    spec = study.arms[0].spec
    faster = replace(study.arms[1], spec=replace(spec, recipe=with_rate(spec.recipe, 0.5)))
    with pytest.raises(ValueError, match="'gelu' and 'relu' are the same trial"):
        contenders(replace(study, arms=(study.arms[0], faster)))


def test_a_study_without_a_race_is_written_and_named_as_before(make_ablation: Any) -> None:
    from search.fingerprint import canonical, fingerprint
    from search.race import contenders
    from search.run_folder import study_document

    study = make_ablation()
    assert contenders(study) == () and "race" not in canonical(study)  # type: ignore[operator]
    assert fingerprint(study.baseline) == "c7e3f31602d81a25"
    assert not [name for name in study_document(study, {}) if "race" in name]


def test_the_same_race_has_one_name_whatever_rate_won(make_ablation: Any, make_spec: Any) -> None:
    from search.race import race_fingerprint, raced
    from search.study import Race

    study = both_norms(make_ablation, make_spec)
    after = raced(study, {"layer_norm": 1e-2, "no_norm": 1e-3})
    assert race_fingerprint(after) == race_fingerprint(study)
    assert race_fingerprint(replace(study, race=Race(candidates=(1e-4, 1e-3, 1e-2), seed=98))) != race_fingerprint(
        study
    )


def test_the_predicted_cost_of_a_study_holds_its_race(make_ablation: Any) -> None:
    from search.budget import Assumptions
    from search.predict import predict, predict_study, work_of
    from search.race import contenders
    from search.study import Race
    from search.study_budget import study_budget

    plain, study = make_ablation(), make_ablation(race=Race(candidates=(1e-4, 1e-3, 1e-2), seed=99))
    before, found = predict_study(plain), predict_study(study)
    spec = contenders(study)[0].spec
    work = work_of(spec)
    heard = sum(each.seconds for each in work.heard.values())
    assert heard > 0 and predict(spec).train_seconds == pytest.approx(work.own.seconds + heard)
    expected = 3 * work.own.seconds + heard + predict(spec.teacher).train_seconds
    assert before.race_seconds == 0 and found.race_seconds == pytest.approx(expected)
    assert found.core_seconds == pytest.approx(before.core_seconds + expected)
    counted = {trial.name: trial.count for trial in study_budget(study, Assumptions()).trials}
    assert counted == {"teacher": 7, "race of layer_norm": 3, "gelu": 6, "relu": 6}


def test_show_says_what_the_race_costs(make_ablation: Any) -> None:
    from search.study import Race
    from studies.overview import _overview, overview_lines

    study = make_ablation(race=Race(candidates=(1e-4, 1e-3), seed=99))
    lines = overview_lines(_overview(study, study.baseline.data))
    said = [line for line in lines if "race" in line]
    assert len(said) == 1 and "a race of the rates 0.0001, 0.001 comes first (seed 99, " in said[0]


def test_the_rate_that_won_is_in_the_fingerprints_of_all_arms(
    tiny: ModuleType, prepared: tuple[Path, Any], finished: Path
) -> None:
    from search.fingerprint import fingerprint
    from search.race import raced
    from search.study import plan

    run = finished / "tiny-smoke"
    result = json.loads((run / "race.json").read_text())
    (race,) = result["races"]
    accuracies = {one["rate"]: one["accuracy"] for one in race["candidates"]}
    assert [one["status"] for one in race["candidates"]] == ["complete", "complete", "diverged"]
    assert accuracies[1e9] is None and race["norm"] == "no_norm" and race["arm"] == "bare"
    assert race["rate"] == max((1e-12, 3e-3), key=lambda rate: (accuracies[rate], -rate))
    expected = raced(tiny.tiny_race(prepared[1]), {"no_norm": race["rate"]})
    assert {path.stem for path in (run / "trials").glob("*.json")} == {fingerprint(one.spec) for one in plan(expected)}
    study = json.loads((run / "study.json").read_text())
    assert study["race"] == result and study["baseline_fingerprint"] == fingerprint(expected.baseline)


def test_a_finished_run_trains_nothing_again_and_keeps_its_race(
    tiny: ModuleType, prepared: tuple[Path, Any], runs: Path
) -> None:
    before = tiny.contents(runs / "tiny-smoke", "**/*.json")
    assert trained(tiny, tiny.tiny_race(prepared[1]), runs) == set()
    assert tiny.contents(runs / "tiny-smoke", "**/*.json") == before


@pytest.mark.parametrize("left", [None, "{", '{"schema": 2}'])
def test_a_lost_or_damaged_result_is_counted_again_from_the_trial_files(
    tiny: ModuleType, prepared: tuple[Path, Any], runs: Path, left: str | None
) -> None:
    path = runs / "tiny-smoke" / "race.json"
    before = json.loads(path.read_text())
    path.unlink() if left is None else path.write_text(left)
    assert trained(tiny, tiny.tiny_race(prepared[1]), runs) == set()
    assert json.loads(path.read_text()) | {"finished": None} == before | {"finished": None}
    assert (runs / "tiny-smoke" / "quarantine").exists() == (left is not None)


def test_a_race_killed_between_its_trials_trains_only_what_is_missing(
    tiny: ModuleType, prepared: tuple[Path, Any], runs: Path
) -> None:
    run = runs / "tiny-smoke"
    lost = json.loads((run / "race.json").read_text())["races"][0]["candidates"][1]["fingerprint"]
    (run / "race.json").unlink()
    before = tiny.contents(run, "race/trials/*.json")
    (run / "race" / "trials" / f"{lost}.json").unlink()
    assert trained(tiny, tiny.tiny_race(prepared[1]), runs) == {lost}
    after = tiny.contents(run, "race/trials/*.json")
    name = f"race/trials/{lost}.json"
    assert {key: after[key] for key in before if key != name} == {key: before[key] for key in before if key != name}
    assert json.loads(after[name])["curves"] == json.loads(before[name])["curves"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes through /proc")
def test_a_race_whose_driver_is_killed_before_and_after_its_choice_ends_as_an_uninterrupted_one(
    tiny: ModuleType, finished: Path, tmp_path: Path
) -> None:
    run = tmp_path / "tiny-smoke"
    for start, count in (("progress", 4), ("the race chose", 1)):
        with tiny.Driver("race", tmp_path, 1) as driver:
            assert driver.read_until(start, count), driver.lines[-5:]
            driver.kill()
    with tiny.Driver("race", tmp_path, 2) as driver:
        assert driver.finish() == 0, driver.lines[-5:]
        assert not any("race" in line for line in driver.lines)
    found, expected = (json.loads((runs / "tiny-smoke" / "race.json").read_text()) for runs in (tmp_path, finished))
    assert found | {"finished": None} == expected | {"finished": None}
    for pattern in ("trials/*.json", "weights/*", "race/trials/*.json"):
        assert set(tiny.contents(run, pattern)) == set(tiny.contents(finished / "tiny-smoke", pattern))
    assert tiny.contents(run, "**/weights/*") == tiny.contents(finished / "tiny-smoke", "**/weights/*")
    assert not (run / "quarantine").exists() and not list(run.rglob("*.tmp"))


def test_another_race_does_not_go_on_in_the_same_folder(
    tiny: ModuleType, prepared: tuple[Path, Any], runs: Path
) -> None:
    for other in (tiny.tiny_race(prepared[1], 1e-12, 2e-3, 1e9), replace(tiny.tiny_ablation(prepared[1]), seeds=(0,))):
        with pytest.raises(ValueError, match=r"its race, recipe or data|race\.json must hold the race of tiny"):
            tiny.drive(other, runs)


def test_the_report_says_what_rate_was_chosen_and_cleaning_leaves_the_race_its_trial_files(runs: Path) -> None:
    from reports.background import provenance
    from reports.reading import read_run
    from studies.housekeeping import clean_run

    run = runs / "tiny-smoke"
    (race,) = json.loads((run / "race.json").read_text())["races"]
    assert ("learning rate raced, no_norm", f"{race['rate']:.4g}") in provenance(read_run(run))
    removed = clean_run(run, dry_run=False)["removed"]
    assert [name for name in removed if name.startswith("race/weights/")]
    assert len(list((run / "race" / "trials").glob("*.json"))) == 3 and not list((run / "race" / "weights").iterdir())


def test_a_race_in_which_all_diverge_ends_before_anything_else_trains(
    tiny: ModuleType, prepared: tuple[Path, Any], tmp_path: Path
) -> None:
    runs, data = prepared
    shutil.copytree(runs / "data", tmp_path / "data")
    with pytest.raises(ValueError, match=r"race of no_norm .*1e\+09 \(diverged\), 1e\+10 \(diverged\) with arm 'bare'"):
        tiny.drive(tiny.tiny_race(data, 1e9, 1e10), tmp_path)
    assert not (tmp_path / "tiny-smoke" / "race.json").exists()
    assert not list((tmp_path / "tiny-smoke" / "trials").glob("*.json")) and not (tmp_path / "teachers").exists()
