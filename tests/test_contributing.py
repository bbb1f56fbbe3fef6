"""CONTRIBUTING.md is true: its walk through a study of one's own runs, from the pasted files to the pages."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from studies.command_line import main

CONTRIBUTING = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text()
FILES = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", CONTRIBUTING, flags=re.DOTALL))
COMMANDS = re.findall(r"^    (thinbert (?:list|show|run) .*)$", CONTRIBUTING, flags=re.MULTILINE)


@pytest.fixture
def walk(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the walk in a folder, at a smoke scale of a few updates."""
    from search.data.generated_spec import GeneratorSpec
    from studies import scales

    steps = {"teacher_steps": 6, "transfer_steps": 4, "distillation_steps": 4, "teacher_tuning_steps": 2}
    data = GeneratorSpec(num_documents=60, num_train=64, num_validation=40, num_test=40)
    small = replace(scales.SIZES["smoke"], **steps, student_tuning_steps=2, latency_rounds=3, generator=data)
    monkeypatch.setitem(scales.SIZES, "smoke", small)
    for name, text in FILES.items():
        (own_folder / name).write_text(text)
    return own_folder


def trials(folder: Path) -> dict[str, str]:
    """Status by fingerprint."""
    records = [json.loads(path.read_text()) for path in (folder / "runs" / "gated-smoke" / "trials").glob("*.json")]
    return {record["fingerprint"]: record["status"] for record in records}


def test_the_walk_runs_as_it_is_written(walk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(FILES) == ["my_ffn.py", "my_loss.py", "my_study.py"] and len(COMMANDS) == 3
    printed = []
    for command in COMMANDS:
        assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().err
        printed.append(capsys.readouterr().out)
    assert "gated" in printed[0] and "student.feed_forward: dense -> my_ffn:GatedFeedForward@" in printed[1]
    assert "gated against paper" in printed[2] and "cosine against paper" in printed[2]
    first = trials(walk)
    assert set(first.values()) == {"complete"} and len(first) == 3
    run = walk / "runs" / "gated-smoke"
    about = json.loads((run / "study.json").read_text())
    assert about["command"] == "thinbert run ./my_study.py --scale smoke --runs runs"
    assert about["study_file"]["path"] == "my_study.py"
    assert [one.partition("@")[0] for one in about["own_code"]] == ["my_ffn:GatedFeedForward", "my_loss:cosine_loss"]
    assert str(walk) not in "".join(path.read_text() for path in run.rglob("*.json"))
    _edited_function_makes_new_trials(walk, capsys, set(first))
    _others_refuse(run, capsys)


def _edited_function_makes_new_trials(walk: Path, capsys: pytest.CaptureFixture[str], before: set[str]) -> None:
    """The feed-forward's trial is new, the others are not run again, and the old one stays."""
    stamps = {path.name: path.stat().st_mtime_ns for path in (walk / "runs" / "gated-smoke" / "weights").iterdir()}
    (walk / "my_ffn.py").write_text(FILES["my_ffn.py"].replace("torch.relu", "torch.sigmoid"))
    assert main(shlex.split(COMMANDS[2])[1:]) == 0
    assert "my_ffn:GatedFeedForward has changed since: trials that use it are new ones" in capsys.readouterr().err
    after = trials(walk)
    assert before < set(after) and len(after) == 4 and set(after.values()) == {"complete"}
    weights = {path.name: path.stat().st_mtime_ns for path in (walk / "runs" / "gated-smoke" / "weights").iterdir()}
    assert {name: weights[name] for name in stamps} == stamps


def _others_refuse(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What takes a run folder from anybody runs no code of it."""
    records = [json.loads(path.read_text()) for path in (run / "trials").glob("*.json")]
    (gated, *_) = [r["fingerprint"] for r in records if r["spec"]["student"]["feed_forward"] != "dense"]
    plain = next(r["fingerprint"] for r in records if r["spec"]["student"]["feed_forward"] == "dense")
    assert main(["export", f"{run}:{gated}", "--to", "huggingface", "--out", "out"]) == 2
    assert "what is exported must have feed_forward='dense'" in capsys.readouterr().err
    assert not Path("out").exists()
    assert main(["compare", f"{run}:{plain}", f"{run}:{gated}", "--length", "32"]) == 0
    assert "my_ffn:GatedFeedForward" in capsys.readouterr().out
    assert main(["compare", f"{run}:{gated}"]) == 2
    assert "were counted for 32 tokens" in capsys.readouterr().err
