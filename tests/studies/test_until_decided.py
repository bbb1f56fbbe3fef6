"""`run --until-decided`: seeds come in looks declared beforehand, none is begun that the budget does not allow."""

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from search.claim import Claim, beats
from search.data.prepare import prepare
from search.execute import Options, Watcher
from search.files import read_json
from search.fingerprint import fingerprint
from search.machine import cores
from search.predict import predict
from search.run import run_study
from search.study import Ablation, plan
from search.trial import TrialSpec
from search.values import from_json
from studies import until_decided
from studies.catalogue import load_study
from studies.data_specs import known_data_spec
from studies.request import RunRequest
from studies.scales import sources
from studies.until_decided import Pace, budget_seconds, pace_of, run_until_decided, with_looks


def tiny_module() -> ModuleType:
    path = Path(__file__).parents[1] / "search" / "tiny_study.py"
    place = importlib.util.spec_from_file_location("tiny_study", path)
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


TINY = tiny_module()


def looked_at(runs: Path) -> Ablation:
    """Two arms without teacher, one claim, looks at 1, 2 and 3 seeds."""
    study: Ablation = TINY.tiny_ablation(prepare(TINY.SOURCES, runs / "data"))
    bare = study.arms[0]
    wide = replace(bare.spec, student=replace(bare.spec.student, feed_forward_size=48))
    claim = Claim(
        name="wide-helps",
        says="width helps",
        source="nobody",
        test="greater",
        margin=1.0,
        margin_because="a test",
        parts=(beats("wide", "bare"),),
    )
    arms = (bare, replace(bare, name="wide", spec=wide))
    return with_looks(replace(study, arms=arms, claims=(claim,)), (1, 2, 3))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run under a budget as if each look took as long as given; what was said."""

    def go(runs: Path, budget: float, *, look: float = 10.0) -> list[str]:
        said: list[str] = []
        now = [100.0]

        def trained(*asked: Any, **more: Any) -> Any:
            now[0] += look
            return run_study(*asked, **more)

        monkeypatch.setattr(until_decided, "run_study", trained)
        options, watcher = Options(workers=2), Watcher(say=said.append)
        run_until_decided(
            looked_at(runs), TINY.home(runs), options, {"command": "tiny"}, watcher, budget, lambda: now[0]
        )
        return said

    return go


def test_looks_are_trained_one_after_another_as_far_as_the_budget_goes(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(until_decided, "look_seconds", lambda study, look, home, workers: 10.0)
    monkeypatch.setattr(until_decided, "pace_of", lambda run: Pace())
    said = run(tmp_path, 25.0)
    assert said[-3:] == [
        "look 1 of 3, 1 seeds: 1 of 1 claims inconclusive",
        "look 2 of 3, 2 seeds: 1 of 1 claims inconclusive",
        "look 3 of 3 (3 seeds) needs 10 s (predicted), of the --budget of 25 s 20 s are used and 5 s are left: "
        "stopped, what is inconclusive stays so",
    ]
    home = TINY.home(tmp_path)
    records = [json.loads(path.read_text()) for path in sorted((home.run / "trials").glob("*.json"))]
    trials = [one for record in records for one in record["trials"]]
    told = {(one["params"]["seed"], one["arm"]): (one["number"], one["generation"]) for one in trials}
    assert told == {(0, "bare"): (0, 0), (0, "wide"): (1, 0), (1, "bare"): (2, 1), (1, "wide"): (3, 1)}
    study = json.loads((home.run / "study.json").read_text())
    assert (study["looks"], study["looks_done"], study["seeds"]) == ([1, 2, 3], 2, [0, 1, 2])

    before = {path: path.read_bytes() for path in (home.run / "trials").glob("*.json")}
    said = run(tmp_path, 30.0)
    assert said[-2:] == [
        "look 3 of 3, 3 seeds: 1 of 1 claims inconclusive",
        "stopped, this was the last look; of the --budget of 30 s 30 s are used and 0 s are left",
    ]
    after = {path: path.read_bytes() for path in (home.run / "trials").glob("*.json")}
    assert len(after) == 6 and {path: after[path] for path in before} == before

    whole = replace(looked_at(tmp_path), looks=())
    message = (
        "tiny-smoke was begun with looks at 1, 2, 3 seeds, asked for was one look at all seeds: when verdicts are "
        "looked at is fixed before the run; choose another folder with --runs"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        run_study(whole, home, Options(), {"command": "tiny"}, Watcher())


def test_a_first_look_beyond_the_budget_trains_nothing(run: Any, tmp_path: Path) -> None:
    message = r"^look 1 of 3 \(1 seeds\) needs .* \(predicted\), of the --budget of 0 s 0 s are used and 0 s are left; "
    with pytest.raises(ValueError, match=message + "allow more, or use more --workers$"):
        run(tmp_path, 1e-6)
    assert not TINY.home(tmp_path).run.exists()


def test_the_clock_counts_and_not_what_was_predicted(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longer than predicted, by other work on the machine say, leaves less for the next look."""
    monkeypatch.setattr(until_decided, "look_seconds", lambda study, look, home, workers: 10.0)
    monkeypatch.setattr(until_decided, "pace_of", lambda run: Pace())
    said = run(tmp_path, 30.0, look=21.0)
    assert said[-1].startswith(
        "look 2 of 3 (2 seeds) needs 10 s (predicted), of the --budget of 30 s 21 s are used and"
    )


def test_a_look_is_expected_to_take_as_many_times_longer_as_trials_here_took(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(until_decided, "look_seconds", lambda study, look, home, workers: 10.0)
    run(tmp_path, 10.0)
    folder = TINY.home(tmp_path).run
    records = [read_json(path) for path in sorted((folder / "trials").glob("*.json"))]
    predicted = [predict(from_json(TrialSpec, record["spec"])).train_seconds for record in records]
    assert len(records) == 2
    for record, seconds, taken in zip(records, predicted, (False, True), strict=True):
        for one in record["measurements"]:
            if one["metric"] == "train_seconds":
                one["value"] = 1.3 * seconds if not taken else 9.0 * seconds
        record["provenance"] |= {"taken_from": "other/trials/0.json"} if taken else {}
        (folder / "trials" / f"{record['fingerprint']}.json").write_text(json.dumps(record))
    found = pace_of(folder)
    assert (found.factor, found.num_trials) == (pytest.approx(1.3), 1)
    with pytest.raises(ValueError, match=r"needs 13 s \(1\.30 times the 10 s predicted, as 1 trial here took\), of"):
        run(tmp_path, 12.0)


def test_what_a_look_costs_is_what_no_run_has_finished(tmp_path: Path) -> None:
    study = looked_at(tmp_path)
    home = TINY.home(tmp_path)
    first = until_decided.look_seconds(study, 0, home, 1)
    assert first > 0 and first == pytest.approx(until_decided.look_seconds(study, 1, home, 1))
    longest = max(predict(one.spec).train_seconds for one in plan(study))
    assert until_decided.look_seconds(study, 0, home, 64) == pytest.approx(max(longest, first / cores()))

    (home.run.parent / "other" / "trials").mkdir(parents=True)
    for one in plan(study):
        if one.seed == 0:
            (home.run.parent / "other" / "trials" / f"{fingerprint(one.spec)}.json").write_text("{}")
    assert until_decided.look_seconds(study, 0, home, 1) == 0


def test_the_papers_studies_can_be_looked_at_or_say_why_not(tmp_path: Path) -> None:
    data = known_data_spec(sources("cpu"), tmp_path)
    assert len(plan(with_looks(load_study("training-strategies").declare("cpu", data)))) == 3 * 16
    with pytest.raises(ValueError, match=r"8 sessions cannot reach a verdict on 5 claims \(smallest possible p 0\.039"):
        plan(with_looks(load_study("operational-optimisations").declare("cpu", data)))
    for name in ("student-search", "knowledge-transfer"):
        message = f"--until-decided is for studies that declare claims, {name} declares none"
        with pytest.raises(ValueError, match=f"^{message}$"):
            with_looks(load_study(name).declare("cpu", data))


@pytest.mark.parametrize("text", ["", "2", "0h", "-1h", "2 days", "h"])
def test_a_budget_that_is_no_time_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"^--budget must be a time above 0 such as 2h or 90min, got "):
        budget_seconds(text)


def test_the_two_options_go_together() -> None:
    with pytest.raises(ValueError, match=r"^--until-decided and --budget go together"):
        RunRequest(study="systems", scale="cpu", runs=Path("runs"), until_decided=True)


def test_looks_that_do_not_rise_to_the_number_of_seeds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^tiny: looks must rise to the number of seeds, 3; got 1, 2$"):
        plan(replace(looked_at(tmp_path), looks=(1, 2)))
