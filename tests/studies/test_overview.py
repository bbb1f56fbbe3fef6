"""`show` says what a study would do and cost, for machines and for people."""

import json
from pathlib import Path

import pytest

from search.fingerprint import fingerprint
from search.study import SCALES, Ablation, Search, all_configurations, plan
from studies.catalogue import MODULES, load_study
from studies.data_specs import known_data_spec
from studies.overview import overview, overview_lines


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", MODULES)
def test_every_study_can_be_shown_at_every_scale(name: str, scale: str, tmp_path: Path) -> None:
    found = overview(name, scale, tmp_path)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["study"], found["scale"]) == (name, scale)
    assert [task["metric"] for task in found["tasks"]].count("accuracy") >= 1
    predicted = found["predicted"]
    assert predicted.pop("race_seconds") == 0
    assert (predicted["teacher_seconds"] > 0) == (name not in ("teacher-search", "student-grid"))
    assert all(value > 0 for key, value in predicted.items() if key != "teacher_seconds")
    text = "\n".join(overview_lines(found))
    assert text.startswith(f"{name} at scale {scale}: ") and ("predicted: " in text or scale == "paper")
    assert ("GPU-hours" in text) == (scale == "paper")
    assert text.isascii() and "None" not in text
    assert not list(tmp_path.iterdir())


def test_a_search_is_shown_with_its_space_and_extremes(tmp_path: Path) -> None:
    found = overview("student-search", "cpu", tmp_path)
    study = load_study("student-search")
    search = study.declare("cpu", known_data_spec(study.sources("cpu"), tmp_path))
    assert isinstance(search, Search)
    assert found["configurations"] == len(all_configurations(search))
    assert set(found["space"]) == {"bottleneck_size", "num_heads", "num_feed_forward"}
    assert found["baseline"]["fingerprint"] == fingerprint(search.baseline)
    assert found["parameters"]["smallest"] <= found["baseline"]["parameters"] <= found["parameters"]["largest"]
    assert found["flops"]["smallest"] <= found["baseline"]["flops"] <= found["flops"]["largest"]
    assert found["teacher"]["seconds"] == round(found["predicted"]["teacher_seconds"], 1)
    assert "trials" not in found


def test_an_ablation_is_shown_trial_by_trial_with_what_its_arms_change(tmp_path: Path) -> None:
    found = overview("knowledge-transfer", "cpu", tmp_path)
    study = load_study("knowledge-transfer")
    ablation = study.declare("cpu", known_data_spec(study.sources("cpu"), tmp_path))
    assert isinstance(ablation, Ablation)
    assert [(t["fingerprint"], t["arm"], t["seed"]) for t in found["trials"]] == [
        (fingerprint(one.spec), one.arm, one.seed) for one in plan(ablation)
    ]
    assert {key for trial in found["trials"] for key in trial} == {"fingerprint", "arm", "seed", "parameters", "flops"}
    assert found["arms"][0]["changes"] == []
    assert "recipe.pre_training.teacher_share" in {change["field"] for change in found["arms"][1]["changes"]}


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="study must be one that"):
        overview("nothing", "cpu", tmp_path)
    with pytest.raises(ValueError, match="scale must be one of"):
        overview("student-search", "large", tmp_path)
