"""A study of one's own: taken from the file that was typed; whatever is wrong inside is one line with its place."""

import json
from pathlib import Path

import pytest

from studies.command_line import main

STUDY = '''
"""A question of one's own."""
import sys
from dataclasses import replace

from model_zoo.own_code import own
from search.data.spec import DataSpec
from search.study import Ablation, Arm, Search, Study
from studies.scales import latency_case, sources, student_trial
from studies.student_search import declare as student_search


def declare(scale, data):
    paper = student_trial(scale, data, 0, average_heads=False)
    other = replace(paper.student, num_heads=2)
    arms = (Arm(name="four", because="x", spec=paper), Arm(name="two", because="y", spec=paper))
    arms = (arms[0], replace(arms[1], spec=replace(student_trial(scale, data, 0, average_heads=True), student=other)))
    return Ablation(
        name="mine", question="Does it?", scale=scale, arms=arms, seeds=(0, 1, 2, 3, 4, 5), smallest_effect=1.0,
        latency=latency_case(scale, data), latency_rounds=3,
    )


STUDY = Study(name="mine", question="Does it?", sources=sources, declare=declare)
'''


@pytest.fixture
def study(own_folder: Path) -> Path:
    """A file with a study that is right."""
    path = own_folder / "my_study.py"
    path.write_text(STUDY)
    return path


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which a command is refused."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("thinbert: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert "Traceback" not in err
    return err.removeprefix("thinbert: ").strip()


def test_list_shows_it_after_those_that_ship(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "my_study.py"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["mine", "Does", "it?"]
    assert main(["list", "./my_study.py", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1] == {"name": "mine", "question": "Does it?"}


@pytest.mark.parametrize("scale", ["smoke", "cpu", "gpu", "paper"])
def test_show_plans_it(study: Path, capsys: pytest.CaptureFixture[str], scale: str) -> None:
    assert main(["show", str(study), "--scale", scale, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["study"], found["scale"], len(found["trials"])) == ("mine", scale, 12)


def test_a_search_of_ones_own_is_shown_without_a_teacher_too(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = "replace(b, teacher=None, recipe=replace(b.recipe, knowledge_transfer=None, pre_training="
    bare += "replace(b.recipe.pre_training, teacher_share=0.0)))"
    search = "    s = student_search(scale, data)\n    b = s.baseline\n"
    search += f"    return replace(s, name='mine', baseline={bare})\n"
    head, _, tail = STUDY.partition("    paper = student_trial")
    study.write_text(head + search + "\n\n" + tail.partition("    )\n\n\n")[2])
    assert main(["show", "./my_study.py", "--scale", "smoke"]) == 0
    assert "no teacher" in capsys.readouterr().out


def test_what_it_prints_is_no_part_of_the_one_json_document(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(STUDY.replace("    paper =", "    print('declared')\n    paper =") + "print('loaded')\n")
    assert main(["show", "./my_study.py", "--scale", "smoke", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["study"] == "mine"
    assert err == "loaded\ndeclared\n"


NO_STUDY = "x = 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def declare(:\n", "my_study.py, line 1: SyntaxError: invalid syntax; mend it"),
        ("\0", "my_study.py: SyntaxError: source code string cannot contain null bytes; mend it"),
        (NO_STUDY, "my_study.py must declare STUDY = Study(...) at its top level, got no STUDY; see CONTRIBUTING.md"),
        ("", "got no STUDY"),
        (
            STUDY + "\n\nSTUDY = STUDY\n",
            "my_study.py, line 27: a file must declare one STUDY, got another in line 24; ",
        ),
        ("STUDY = 3\n", "my_study.py: STUDY must be a search.study.Study, got int; declare STUDY = Study("),
        (
            "import not_there\nSTUDY = 1\n",
            "my_study.py, line 1: ModuleNotFoundError: No module named 'not_there'; mend",
        ),
        ("import beside\nSTUDY = 1\n", "beside.py, line 3: ZeroDivisionError: division by zero; mend it"),
        ("import sys\nSTUDY = sys.exit(3)\n", "my_study.py, line 2: SystemExit: 3; mend it"),
        (
            STUDY.replace('Study(name="mine"', 'Study(nam="mine"'),
            "my_study.py, line 24: TypeError: Study.__init__() got",
        ),
        (STUDY.replace('"mine"', '"knowledge-transfer"'), "must be its own, got 'knowledge-transfer', which ships"),
        (
            STUDY.replace('"mine"', '"../mine"'),
            "must be of small letters, digits, - and _, got '../mine'; it names the",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["list", "show", "run"])
def test_a_file_that_is_no_study_is_refused_in_one_line(
    study: Path, capsys: pytest.CaptureFixture[str], verb: str, text: str, message: str
) -> None:
    study.write_text(text)
    (study.parent / "beside.py").write_text("# one\n\n1 / 0\n")
    assert message in refusal(capsys, verb, "./my_study.py")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("num_heads=2", "num_heads=3", "my_study.py, line 15: num_heads must divide bottleneck_size, got 3 heads"),
        (
            "    paper =",
            "    paper = {}['x']\n    paper =",
            "my_study.py, line 14: KeyError: 'x'; mend it and run the same",
        ),
        (
            "    return Ablation(",
            "    return dict(",
            "declare must return a Search or an Ablation, got dict; return one",
        ),
        ('        name="mine"', '        name="other"', "of the name 'mine', got 'other'; pass name=STUDY.name"),
        ("scale=scale", "scale='gpu'", "declare must return a study of the scale 'smoke', got 'gpu'; pass scale=scale"),
        ("sources=sources", "sources=lambda scale: 1 / 0", "my_study.py, line 24: ZeroDivisionError"),
        (
            "num_heads=2",
            "num_heads=2, feed_forward=own('my_study:F')",
            "in another file than the study, got 'my_study:F'",
        ),
        (
            "num_heads=2",
            "num_heads=2, feed_forward=own('gone:F')",
            "my_study.py, line 15: the module of code of one's own",
        ),
        (
            "num_heads=2",
            "num_heads=2, feed_forward='relu'",
            "my_study.py, line 15: feed_forward must be 'dense' or what",
        ),
        ("num_heads=2", "num_heads=4", "my_study.py: mine: arms 'four' and 'two' are the same trial; a knob is dead"),
        (
            "sources=sources",
            "sources=lambda scale: None",
            "sources must return search.data.source.DataSources, got None",
        ),
        (
            "latency=latency_case(scale, data)",
            "latency=None",
            "my_study.py: latency must be a LatencyCase, got None; see",
        ),
        ("latency_rounds=3", "latency_rounds='3'", "my_study.py: latency_rounds must be a whole number, got '3'; see"),
        ("arms=arms", "arms=()", "arms must be a tuple of Arm, each with a name and a TrialSpec, got (); see CONTRIB"),
        (
            "arms=arms",
            "arms=arms + (None,)",
            "arms must be a tuple of Arm, each with a name and a TrialSpec, got (Arm(",
        ),
        ("seeds=(0, 1, 2, 3, 4, 5)", "seeds=6", "my_study.py: seeds must be a tuple of whole numbers, got 6; see"),
        (
            "smallest_effect=1.0",
            "smallest=1.0",
            "my_study.py, line 18: TypeError: Ablation.__init__() got an unexpected",
        ),
        (
            "    paper =",
            "    data = replace(data, corpus='0' * 64)\n    paper =",
            "every trial must be on the data that decl",
        ),
    ],
)
def test_an_error_in_what_it_declares_is_one_line_with_its_place(
    study: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, message: str
) -> None:
    assert before in STUDY
    extra = "\n\ndef F(config):\n    return None\n"
    text = STUDY.replace("average_heads=True", "average_heads=False") if "num_heads=4" in after else STUDY
    study.write_text(text.replace(before, after) + extra)
    assert message in refusal(capsys, "show", "./my_study.py", "--scale", "smoke")


def test_run_refuses_it_alike_and_leaves_no_run_folder(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(STUDY.replace("num_heads=2", "num_heads=3"))
    message = refusal(capsys, "run", "./my_study.py", "--scale", "smoke", "--runs", "runs")
    assert message.startswith("my_study.py, line 15: num_heads must divide bottleneck_size, got 3 heads")
    assert not (study.parent / "runs" / "mine-smoke").exists()


def test_an_error_inside_a_space_names_its_line(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = "    def space(trial):\n        return 1 / 0\n\n"
    search += "    return replace(student_search(scale, data), name='mine', space=space)\n"
    head, _, tail = STUDY.partition("    paper = student_trial")
    study.write_text(head + search + "\n\n" + tail.partition("    )\n\n\n")[2])
    assert "my_study.py, line 15: ZeroDivisionError" in refusal(capsys, "show", "./my_study.py", "--scale", "smoke")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./gone.py", "must be a Python file, got 'gone.py', which is none; check the path"),
        ("folder/", "must be a Python file, got 'folder', which is none"),
        ("my_study", "did you mean ./my_study.py?"),
    ],
)
def test_a_path_that_is_no_file_is_refused(
    study: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    (study.parent / "folder").mkdir()
    for verb in ("show", "run"):
        assert message in refusal(capsys, verb, name)


def test_list_takes_a_file_alone(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "takes a Python file, got 'student-search'" in refusal(capsys, "list", "student-search")


def test_files_beside_it_that_are_named_like_ours_hide_nothing(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("search", "model_zoo", "studies", "torch", "json"):
        (study.parent / f"{name}.py").write_text("raise RuntimeError('imported')\n")
    assert main(["show", "./my_study.py", "--scale", "smoke"]) == 0
    assert "12 trials" in capsys.readouterr().out


def test_what_changed_since_is_said_with_its_consequence(study: Path) -> None:
    from studies.own_study import changes_since

    run = study.parent / "run"
    run.mkdir()
    before = {"study_file": {"path": "my_study.py", "sha256": "a"}, "own_code": ["m:f@0", "m:g@1"]}
    (run / "study.json").write_text(json.dumps(before))
    assert changes_since(run, before) == [] and changes_since(run, {}) == []
    after = {"study_file": {"path": "my_study.py", "sha256": "b"}, "own_code": ["m:f@2", "m:g@1", "m:h@3"]}
    assert changes_since(run, after) == [
        "my_study.py has changed since: finished trials that it still declares are not run again",
        "m:f has changed since: trials that use it are new ones",
    ]
