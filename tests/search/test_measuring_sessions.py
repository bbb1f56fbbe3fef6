"""An ablation's further measuring sessions: made before anything trains, never twice, moved aside where damaged."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from search.claim import Claim, beats
from search.data.prepare import prepare
from search.execute import Watcher
from search.fingerprint import fingerprint
from search.measuring_sessions import measure_sessions, session_path
from search.run_folder import check_run, open_run, study_document
from search.study import Ablation, plan


def tiny_module() -> ModuleType:
    place = importlib.util.spec_from_file_location("tiny_study", Path(__file__).with_name("tiny_study.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


TINY = tiny_module()


def drive(runs: Path, **changed: Any) -> list[str]:
    """Run an ablation of three sessions and one seed; what it said, and `train` where training began."""
    from search.run import Options, run_study

    said: list[str] = []
    data = prepare(TINY.SOURCES, runs / "data")
    study: Ablation = replace(TINY.tiny_ablation(data), seeds=(0,), latency_sessions=3, **changed)
    bare = study.arms[:1]  # needs no teacher

    def progress(mark: str, stage: str, seconds: float) -> None:
        if mark != "latency" and said[-1:] != ["train"]:
            said.append("train")

    study = replace(study, arms=(*bare, replace(bare[0], name="wide", spec=_wide(bare[0].spec))))
    run_study(study, TINY.home(runs), Options(), {"command": "tiny"}, Watcher(say=said.append, progress=progress))
    return said


def _wide(spec: Any) -> Any:
    return replace(spec, student=replace(spec.student, feed_forward_size=48))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sessions")
    said = drive(folder)
    assert [line for line in said if "session" in line] == [
        "measuring session 2 of 3, nothing trains meanwhile",
        "measuring session 3 of 3, nothing trains meanwhile",
    ]
    assert said[-1] == "train" and said.count("train") == 1
    return folder


def test_sessions_hold_raw_samples_of_every_encoder_and_are_kept(runs: Path) -> None:
    paths = [session_path(TINY.home(runs).run, index) for index in (1, 2)]
    documents = [json.loads(path.read_text()) for path in paths]
    study = json.loads((TINY.home(runs).run / "study.json").read_text())
    encoders = {arm["encoder"] for arm in study["arms"]}
    for document in documents:
        assert {one["name"] for one in document["session"]["candidates"]} == encoders and len(encoders) == 2
        assert all(len(one["series"]["forward_ns"]) == 3 for one in document["session"]["candidates"])
    assert documents[0]["session"]["reference"] != documents[1]["session"]["reference"]
    before = [path.read_bytes() for path in paths]
    assert drive(runs) == []
    assert [path.read_bytes() for path in paths] == before


def test_a_damaged_session_is_named_moved_aside_and_measured_again(runs: Path) -> None:
    run = TINY.home(runs).run
    path, other = session_path(run, 1), session_path(run, 2).read_bytes()
    path.write_bytes(path.read_bytes()[:50])
    said = drive(runs)
    assert "session-01.json" in said[0] and said[0].endswith("it is measured again")
    assert said[1] == "measuring session 2 of 3, nothing trains meanwhile" and "train" not in said
    assert json.loads(path.read_text())["index"] == 1 and session_path(run, 2).read_bytes() == other


def test_a_refused_session_is_kept_as_lost_with_its_reasons(runs: Path, tmp_path: Path) -> None:
    data = prepare(TINY.SOURCES, runs / "data")
    study: Ablation = replace(
        TINY.tiny_ablation(data), seeds=(0,), latency_sessions=2, latency_rounds=3, latency_control_width=1e-9
    )
    specs = {fingerprint(one.spec): one.spec for one in plan(study)}
    (tmp_path / "latency").mkdir()
    said: list[str] = []
    measure_sessions(study, specs, tmp_path, "cpu", said.append)
    kept = json.loads(session_path(tmp_path, 1).read_text())
    assert kept["session"] is None and kept["refused"] and said[1].startswith("a measuring session was refused: ")
    measure_sessions(study, specs, tmp_path, "cpu", said.append)
    assert json.loads(session_path(tmp_path, 1).read_text()) == kept


CLAIM = Claim(
    name="wide-helps",
    says="width helps",
    source="nobody",
    test="greater",
    margin=1.0,
    margin_because="a test",
    parts=(beats("wide", "bare", "latency_ratio"),),
    blocks="sessions",
)


def test_a_run_begun_with_other_claims_is_refused(runs: Path) -> None:
    before = (TINY.home(runs).run / "study.json").read_bytes()
    data = prepare(TINY.SOURCES, runs / "data")
    study = replace(TINY.tiny_ablation(data), claims=(CLAIM,))
    with pytest.raises(ValueError, match=r"^tiny-smoke was begun with other claims: what is judged is fixed before"):
        check_run(TINY.home(runs).run, study_document(study, {"command": "tiny"}))
    assert (TINY.home(runs).run / "study.json").read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"seeds": tuple(range(9))},
            r"seeds \[0, 1, 2.*, 7\], asked for was \[0, 1, 2.*, 8\]",
        ),
        ({"latency_sessions": 12}, "measuring sessions 8, asked for was 12"),
    ],
)
def test_more_data_than_was_declared_is_refused_where_claims_are_judged(
    runs: Path, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    data = prepare(TINY.SOURCES, runs / "data")
    study = replace(TINY.tiny_ablation(data), claims=(CLAIM,), seeds=tuple(range(8)), latency_sessions=8)
    with open_run(tmp_path / "run", study_document(study, {})):
        pass
    check_run(tmp_path / "run", study_document(study, {}))
    with pytest.raises(ValueError, match=rf"^run was begun with {said}: how much data .* --until-decided$"):
        check_run(tmp_path / "run", study_document(replace(study, **changed), {}))
    without = replace(study, claims=())
    with open_run(tmp_path / "free", study_document(without, {})):
        pass
    check_run(tmp_path / "free", study_document(replace(without, seeds=tuple(range(9))), {}))
