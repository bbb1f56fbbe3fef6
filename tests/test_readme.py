"""The README is true: its example runs, its quick commands run, its file tree is the tree."""

import re
import shlex
from pathlib import Path

import pytest

from studies.command_line import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PACKAGES = ("model_zoo", "search", "reports", "studies", "benchmarks")


def test_the_python_example_runs_and_is_about_twenty_lines(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(example.strip().splitlines()) <= 22
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "25.36 M parameters, 5.59 GFLOPs" in printed
    assert "torch.Size([2, 16, 512]) torch.Size([2, 4, 16, 16])" in printed


def test_the_commands_that_train_nothing_run(capsys: pytest.CaptureFixture[str]) -> None:
    commands = [line.strip() for line in README.splitlines() if line.startswith("    thinbert ")]
    quick = [re.split(r"\s{3,}", line)[0] for line in commands if re.match(r"thinbert (list|show|compare)\b", line)]
    assert len(quick) == 3
    for command in quick:
        assert main(shlex.split(command)[1:]) == 0
        assert capsys.readouterr().out


def test_every_option_that_the_readme_names_exists(capsys: pytest.CaptureFixture[str]) -> None:
    lines = README.replace("\\\n", " ").splitlines()
    for verb, rest in re.findall(r"^ +thinbert (\w+)(.*)$", "\n".join(lines), flags=re.MULTILINE):
        assert main([verb, "--help"]) == 0
        text = capsys.readouterr().out
        for option in re.findall(r"--[a-z-]+", re.split(r"\s{3,}[a-z]", rest)[0]):
            assert option in text, f"{verb} {option}"


def test_the_file_tree_names_every_module() -> None:
    tree = README.split("## Files")[1]
    named = set(re.findall(r"^ {6,}(\S+\.py|\S+/)", tree, flags=re.MULTILINE))
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "__init__.py":
                assert path.name in named, f"README's file tree lacks {path.relative_to(ROOT)}"


def test_the_front_page_figure_exists() -> None:
    (figure,) = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert (ROOT / figure).stat().st_size > 10_000
