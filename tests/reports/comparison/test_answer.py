"""What names stand for, how items are matched, and the answer as one JSON document."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.presets import PRESETS
from model_zoo.transformers_config import to_fields
from reports.compare import compare, resolve
from reports.comparison.answer import answer
from reports.comparison.document import document
from reports.comparison.subjects import read_groups
from reports.comparison.tables import candidate_table, change_lines
from search.values import to_json
from studies.command_line import main

EFFECTS = {"bare": 0.0, "transfer": 3.0}


@pytest.fixture
def run(synthetic: Any, tmp_path: Path) -> Path:
    study = synthetic.make_ablation_study(tuple(EFFECTS))
    return Path(synthetic.write_run(tmp_path / "ladder-cpu", study, synthetic.make_ablation(EFFECTS)))


def test_an_arm_is_all_its_seeds_and_a_run_all_its_arms(run: Path) -> None:
    (arm,) = read_groups([f"{run}:transfer"])[0].subjects
    assert (arm.name, arm.kind, sorted(arm.blocks)) == ("ladder-cpu:transfer", "arm", list(range(8)))
    (whole,) = read_groups([str(run)])
    assert whole.is_ablation and [subject.arm for subject in whole.subjects] == ["bare", "transfer"]
    assert [subject.name for subject in answer([str(run)]).subjects] == ["bare", "transfer"]


def test_a_search_stands_for_the_most_accurate_of_its_front_on_validation(search_run: Path) -> None:
    (subject,) = read_groups([str(search_run)])[0].subjects
    assert subject.kind == "point of a search" and len(subject.records) == 3
    assert "on the front, by what the search saw" in subject.note
    (trial,) = read_groups([f"{search_run}:{subject.records[0]['fingerprint']}"])[0].subjects
    assert trial.student == subject.student
    said = answer([f"{search_run}:0000", str(search_run)]).sentences[0]
    assert "1 shared seed, so no interval" in said or "share no seed" in said


@pytest.mark.parametrize("preset", ["bert-tiny", "distilbert-6", "mobilebert-released"])
def test_a_hugging_face_folder_is_read_from_its_config_alone_and_without_torch(preset: str, tmp_path: Path) -> None:
    folder = tmp_path / "my-bert"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(to_fields(PRESETS[preset](), pooler=True)))
    assert compare([preset, str(folder)]).differences == ()
    assert resolve(str(folder))[0] == "my-bert"
    code = "import sys; from studies.command_line import main; main(['compare', *sys.argv[1:]]); "
    code += "print([name for name in ('torch', 'numpy', 'pandas', 'scipy', 'jinja2') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, preset, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("nothing is said of accuracy or time.\n[]\n")
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(
        ValueError, match=r"my-bert/config.json: model_type must be one of bert, distilbert, mobilebert"
    ):
        compare([str(folder)])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("{run}:transfr", r"an arm or the first digits of a fingerprint, got 'transfr'; the nearest arms are transfer"),
        ("{run}:", r"an arm or the first digits of a fingerprint, got ''; the nearest arms are bare, transfer"),
        ("{root}/laddr-cpu", r"got '.*laddr-cpu'; the nearest folders there are ladder-cpu"),
        ("{root}/laddr-cpu:bare", r"got '.*laddr-cpu:bare'; the nearest folders there are ladder-cpu"),
        ("{root}", r"a run folder holds study.json or trials/"),
        ("{run}:00", r"got '00', which names several; matching are 00000001"),
        ("mobilbert", r"RUN, RUN:ARM or RUN:FINGERPRINT, got 'mobilbert'; the nearest presets are mobilebert, "),
    ],
)
def test_a_name_that_means_nothing_is_one_line_with_the_nearest_ones(run: Path, name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        answer([name.replace("{run}", str(run)).replace("{root}", str(run.parent)), "bert-base"])
    assert "\n" not in str(caught.value)


def test_ablations_stand_beside_ablations_and_need_an_arm_in_common(run: Path, synthetic: Any) -> None:
    with pytest.raises(
        ValueError, match=r"got ladder-cpu beside mobilebert; name RUN:ARM, its arms are bare, transfer"
    ):
        answer([str(run), "mobilebert"])
    records = synthetic.make_ablation({"other": 0.0, "further": 1.0})
    study = synthetic.make_ablation_study(("other", "further"))
    other = synthetic.write_run(run.parent / "other-cpu", study, records)
    with pytest.raises(ValueError, match=r"got none that two of them share \(ladder-cpu has bare, transfer; other-cpu"):
        answer([str(run), str(other)])
    with pytest.raises(ValueError, match="one encoder is needed, got the ablation ladder-cpu; name RUN:ARM"):
        resolve(str(run))
    assert resolve(f"{run}:bare")[1].bottleneck_size == 16


def test_an_empty_run_is_refused_and_an_arm_that_was_not_trained_too(run: Path, synthetic: Any) -> None:
    study = synthetic.make_ablation_study(("bare", "transfer", "later"))
    (run / "study.json").write_text(json.dumps(study))
    with pytest.raises(ValueError, match="an arm needs a trial to be compared, got 'later' of ladder-cpu without any"):
        answer([f"{run}:later"])
    empty = synthetic.write_run(run.parent / "empty-cpu", study, [])
    with pytest.raises(ValueError, match="a run needs a trial to be compared, got empty-cpu without any"):
        answer([str(empty)])


def test_a_seed_that_was_planned_and_not_trained_is_a_lost_pair(run: Path) -> None:
    next(
        path for path in (run / "trials").glob("*.json") if '"arm": "transfer", "seed": 2' in path.read_text()
    ).unlink()
    found = answer([str(run)])
    assert found.pairs[0].accuracy is not None and found.pairs[0].accuracy.num_pairs == 7
    assert "1 pair lost: transfer not trained at seed 2" in found.sentences[0]
    trials = document(found)["items"][1]["trials"]
    assert trials[2] == {"seed": 2, "fingerprint": None, "status": "not trained", "measurements": []}


def test_an_arm_that_is_no_encoder_is_compared_by_its_trials(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (run / "trials").glob("*.json"):
        record = json.loads(path.read_text())
        if record["trials"][0]["arm"] == "transfer":
            record["spec"]["student"] = to_json(BiLSTMConfig(num_channels=1, vocab_size=500))
        path.write_text(json.dumps(record))
    found = answer([str(run)], cap_ms=20.0)
    assert [item.name for item in found.comparison.items] == ["bare"]
    assert found.pairs[0].accuracy is not None and found.pairs[0].accuracy.verdict == "better"
    assert change_lines(found.pairs)[0].startswith("transfer against bare: student Encoder -> BiLSTM; recipe.arm bare")
    sizes = {row[0].text: row[-2].text for row in candidate_table(found).rows}
    assert sizes["transfer"] not in ("-", "")
    assert document(found)["items"][1]["config"]["num_channels"] == 1
    with pytest.raises(ValueError, match="is a BiLSTM, an encoder is needed; name another arm"):
        resolve(f"{run}:transfer")
    with pytest.raises(ValueError, match="holds a BiLSTM, compare shows encoders"):
        answer([f"{run}:0001"])


def test_the_document_is_whole_and_has_a_schema(run: Path) -> None:
    found = json.loads(json.dumps(document(answer([str(run)], cap_ms=50.0)), allow_nan=False))
    assert found["schema"] == 1 and set(found) == {
        "schema", "length", "items", "differences", "pairs", "unmatched", "recommendation", "problems",
    }  # fmt: skip
    bare, transfer = found["items"]
    assert (bare["run"], bare["arm"], bare["kind"], len(bare["trials"])) == ("ladder-cpu", "bare", "arm", 8)
    assert transfer["latency"]["conditions"]["machine"] == "AMD EPYC"
    (pair,) = found["pairs"]
    mean = sum(pair["accuracy"]["differences"]) / 8
    assert pair["accuracy"]["mean"] == pytest.approx(mean) and len(pair["tasks"]) == 5
    assert pair["changes"] == [{"field": "recipe.arm", "before": "bare", "after": "transfer"}]
    assert found["recommendation"]["item"] == "transfer" and found["recommendation"]["cap_ms"] == 50.0
    assert str(run.parent) not in json.dumps(found)


def test_a_file_that_cannot_be_used_is_named_and_a_single_arm_is_answered(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = sorted((run / "trials").glob("*.json"))[0]
    bad.write_text("{")
    found = answer([f"{run}:bare"])
    assert found.pairs == () and len(found.problems) == 1
    assert found.problems[0].startswith(f"ladder-cpu: trials/{bad.name}: is not JSON but damaged")
    assert document(found)["problems"] == list(found.problems) and document(found)["pairs"] == []
    assert main(["compare", f"{run}:bare", "--out", str(run.parent / "one.html")]) == 0
    text = capsys.readouterr().out
    assert f"A file that could not be used: {found.problems[0]}." in text
    assert "Only bare was trained and scored here: " in text and "(mean of 7 seeds)" in text
    assert bad.name in (run.parent / "one.html").read_text()


def test_presets_alone_have_a_sentence_of_their_sizes_and_no_recommendation() -> None:
    found = document(answer(["mobilebert", "mobilebert-tiny"]))
    assert found["recommendation"] is None
    assert found["pairs"][0]["sentence"].startswith("mobilebert-tiny has 0.611 x the parameters and 0.55 x the FLOPs")
    assert [one["field"] for one in found["pairs"][0]["changes"]] == ["num_feed_forward", "attention_input"]


def test_the_command_prints_the_evidence_and_the_verdict(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(run), "--cap", "20ms"]) == 0
    text = capsys.readouterr().out
    assert "transfer - bare" in text and "agreement/accuracy" in text and "95 % interval" in text
    assert "transfer against bare: recipe.arm bare -> transfer" in text
    assert "transfer is better than bare by " in text and text.count("Under a cap of 20 ms take transfer: ") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--cap", "soon"), "--cap is a time above 0 such as 20ms, 0.5s or 20 (milliseconds), got 'soon'"),
        (("--out", "page.pdf"), "--out is the path of a page such as page.html, got 'page.pdf'"),
        (("--out", "."), "--out is the path of a page such as page.html, got '.'"),
    ],
)
def test_a_bad_option_is_one_line(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str) -> None:
    assert main(["compare", "mobilebert", "bert-base", *arguments]) == 2
    assert capsys.readouterr() == ("", f"thinbert: {says}\n")
