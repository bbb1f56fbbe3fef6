"""A teacher of one's own from its folder to the report, in a real process; what is said of folders that are none."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from studies import catalogue
from studies.command_line import main

SEARCH = Path(__file__).resolve().parents[1] / "search"
pytest.importorskip("transformers")


def module_of(name: str) -> ModuleType:
    place = importlib.util.spec_from_file_location(name, SEARCH / f"{name}.py")
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


brought = module_of("brought")
RUN = ("run", "tiny", "--scale", "smoke", "--corpus", "book.txt", "--task-file", brought.TASK)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Teachers of several kinds beside text to train on; the second was fine-tuned on the task, in another order."""
    folder = tmp_path_factory.mktemp("given")
    brought.write_text(folder)
    brought.write_bert(folder / "pretrained", "ForPreTraining")
    names = {0: "positive", 1: "negative"}
    tuned = {"id2label": names, "label2id": {name: index for index, name in names.items()}}
    brought.write_bert(folder / "tuned", "ForSequenceClassification", **tuned)
    brought.write_bert(folder / "wide", "ForMaskedLM", hidden_size=24, num_hidden_layers=3)
    return folder


@pytest.fixture
def place(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy to work in, with the tiny search as the only study."""
    shutil.copytree(folders, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tiny_study", module_of("tiny_study"))
    monkeypatch.setattr(catalogue, "MODULES", {"tiny": "tiny_study"})
    yield tmp_path


@pytest.mark.slow
def test_a_pretrained_bert_teaches_a_search_in_a_process_of_its_own(place: Path) -> None:
    command = [sys.executable, "-P", str(SEARCH / "tiny_study.py"), "thinbert", *RUN, "--teacher", "pretrained"]
    for _ in range(2):  # the second time there is nothing left to do
        done = subprocess.run([*command, "--json"], cwd=place, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    run = place / "runs" / "tiny-smoke"
    study = json.loads((run / "study.json").read_text())
    assert "--teacher pretrained" in study["command"]
    (teacher,) = (place / "runs" / "teachers").iterdir()
    assert sorted(path.name for path in teacher.iterdir()) == ["given.json", "weights.safetensors"]
    assert study["teacher"]["fingerprint"] == teacher.name and teacher.name in (run / "index.html").read_text()
    for path in (run / "trials").glob("*.json"):
        record = json.loads(path.read_text())
        assert record["status"] == "complete", record["reason"]
        given, student = record["spec"]["teacher"], record["spec"]["student"]
        assert given["heads"] == ["masked_language", "next_sentence"] and len(given["weights_sha256"]) == 64
        assert student["vocab_size"] == record["spec"]["data"]["vocab_size"] == len(brought.PIECES)
        assert student["max_positions"] == 80 and student["trigram"] is False
        assert "pretrained" not in json.dumps(record["spec"])
    from tokenizers import Tokenizer

    (prepared,) = (place / "runs" / "data").glob("*/tokenizer.json")
    vocabulary = Tokenizer.from_file(str(prepared)).get_vocab()
    assert [vocabulary[piece] for piece in brought.PIECES] == list(range(len(brought.PIECES)))


def shown(capsys: pytest.CaptureFixture[str], folder: str) -> dict[str, Any]:
    assert main(["show", "tiny", "--scale", "smoke", "--teacher", folder, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["given_teacher"]
    return found


def test_show_lists_what_a_pretrained_teacher_can_teach(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    found = shown(capsys, "pretrained")
    judged = {one["name"]: one["possible"] for one in found["objectives"]}
    assert found["refused"] == ""
    assert judged == {
        "feature-map transfer": True,
        "attention transfer": True,
        "copy of the embeddings": True,
        "pre-training distillation": True,
        "next-sentence distillation": True,
        "logit distillation on acceptability": False,
    }
    assert main(["show", "tiny", "--scale", "smoke", "--teacher", "pretrained"]) == 0
    text = capsys.readouterr().out
    assert "2 heads in the student and 4 in the teacher: on averaged heads only" in text
    assert "cannot logit distillation on acceptability: it has no classification head with this task's labels" in text
    assert not (place / "runs").exists()


def test_show_says_why_a_teacher_of_another_shape_cannot_teach(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    found = shown(capsys, "wide")
    because = {one["name"]: one["because"] for one in found["objectives"] if not one["possible"]}
    assert because["feature-map transfer"] == (
        "num_layers is 2 in the student and 3 in the teacher: needs a layer map; hidden_size is 16 in the student and "
        "24 in the teacher: needs a learned projection"
    )
    assert because["attention transfer"] == "num_layers is 2 in the student and 3 in the teacher: needs a layer map"
    assert because["next-sentence distillation"] == "its weights hold no next-sentence head"
    assert "pre-training distillation" not in because
    refused = "num_layers must be equal, got 2 (student) and 3 (teacher); set layer_map, such as uniform_map gives"
    assert refused in found["refused"]


def test_show_says_what_a_fine_tuned_teacher_lacks(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    found = shown(capsys, "tuned")
    because = {one["name"]: one["because"] for one in found["objectives"]}
    assert because["pre-training distillation"] == "its weights hold no masked-language head"
    assert found["refused"] == (
        "the teacher's labels must be those of a task, got {negative, positive} and acceptability {acceptable, "
        "unacceptable}; name them in id2label of its config.json as the task does"
    )


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line


def test_a_teacher_that_cannot_teach_what_the_study_asks_is_refused_before_anything_trains(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    line = refusal(capsys, *RUN, "--teacher", "tuned")
    assert "pre-training distillation needs the teacher's masked-language head, got a teacher with no" in line
    line = refusal(capsys, *RUN, "--teacher", "wide")
    assert "num_layers must be equal, got 2 (student) and 3 (teacher); set layer_map, such as uniform_map" in line
    brought.edit_config(place / "tuned", id2label={"0": "good", "1": "bad"})
    line = refusal(capsys, *RUN, "--teacher", "tuned")
    assert "got {bad, good} and stars {negative, positive}; name them in id2label" in line
    assert not (place / "runs" / "tiny-smoke").exists() and not (place / "runs" / "teachers").exists()


def damage_vocabulary(folder: Path, pieces: list[str]) -> None:
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")


DAMAGES: dict[str, tuple[Any, str]] = {
    "no folder": (lambda folder: shutil.rmtree(folder), "must hold config.json and model.safetensors"),
    "no tokenizer": (lambda folder: (folder / "vocab.txt").unlink(), "must hold vocab.txt or tokenizer.json"),
    "no special piece": (lambda folder: damage_vocabulary(folder, brought.PIECES[1:]), r"without [PAD]"),
    "other tokenizer": (lambda folder: damage_vocabulary(folder, [*brought.PIECES, "more"]), "got 78 and 77"),
    "cased": (
        lambda folder: (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}'),
        "do_lower_case must be true, got False",
    ),
    "another model": (lambda folder: brought.edit_config(folder, model_type="gpt2"), "got 'gpt2'"),
    "no JSON": (lambda folder: (folder / "config.json").write_text("{"), "must hold JSON but is corrupted"),
    "cut weights": (
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:999]),
        "truncated or no safetensors file",
    ),
    "a pickle": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        "is a pickle file, which can run code",
    ),
    "another depth": (lambda folder: brought.edit_config(folder, num_hidden_layers=1), "is not part of this"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_bad_folder_is_one_line_and_costs_nothing(capsys: pytest.CaptureFixture[str], place: Path, name: str) -> None:
    damage, part = DAMAGES[name]
    damage(place / "pretrained")
    assert part in refusal(capsys, *RUN, "--teacher", "pretrained")
    assert not (place / "runs").exists()
    assert part in refusal(capsys, "show", "tiny", "--scale", "smoke", "--teacher", "pretrained")


def test_a_teacher_of_another_language_or_beside_a_vocabulary_is_refused(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    line = refusal(capsys, "run", "tiny", "--scale", "smoke", "--teacher", "pretrained")
    assert "--teacher needs text in its language" in line and "add --corpus" in line
    line = refusal(capsys, *RUN, "--teacher", "pretrained", "--vocabulary", "vocab.txt")
    assert "--teacher brings its own word pieces, got --vocabulary vocab.txt beside it" in line
    assert not (place / "runs" / "tiny-smoke").exists()
