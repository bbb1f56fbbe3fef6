"""The start-up benchmark: what it says of a command line, and that it notices heavy imports."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import startup
from benchmarks.machine import header, machine


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the installed command, so that this tests the benchmark alone."""
    path = tmp_path / "thinbert"
    path.write_text("import sys\nprint(sys.argv)\n")
    monkeypatch.setattr(startup, "command_path", lambda: path)
    return path


def test_the_table_has_every_command_and_the_floor(command: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert startup.main(["--repeats", "2"]) == 0
    printed = capsys.readouterr().out
    for name in ("python -c pass", "thinbert --help", "thinbert list", "thinbert show student-search --scale cpu"):
        assert name in printed
    assert "thinbert compare mobilebert bert-base" in printed
    assert machine()["machine"] in printed and "heavy imports" in printed


def test_json_is_one_document_with_times_in_order(command: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert startup.main(["--repeats", "1", "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["repeats"] == 1 and document["limit_seconds"] == 0.6
    assert len(document["commands"]) == 5
    for row in document["commands"]:
        assert 0 < row["min_seconds"] <= row["median_seconds"] <= row["max_seconds"]
        assert row["heavy_imports"] == []
    assert document["commands"][0]["within_limit"] is None


def test_a_heavy_import_is_noticed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import scipy.special\n\ndef late():\n    import seaborn\n")
    assert startup.heavy_imports([sys.executable, str(script)]) == ["scipy"]
    script.write_text("import json\n")
    assert startup.heavy_imports([sys.executable, str(script)]) == []


def test_a_command_that_fails_is_one_line_and_exit_status_two(
    command: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.write_text("raise SystemExit('no such study')\n")
    assert startup.main(["--repeats", "1"]) == 2
    error = capsys.readouterr().err
    assert error == "error: thinbert --help must succeed to be timed, got exit status 1: no such study\n"


def test_a_command_that_is_not_installed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert startup.main([]) == 2
    assert "the command thinbert must be installed beside this python" in capsys.readouterr().err


def test_fewer_than_one_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        startup.main(["--repeats", "0"])
    assert caught.value.code == 2
    assert "--repeats must be at least 1, got 0" in capsys.readouterr().err


def test_the_header_names_machine_versions_and_threads() -> None:
    import torch

    found = machine()
    assert found["threads"] == torch.get_num_threads()
    text = header(found)
    assert found["machine"] in text and f"torch {found['versions']['torch']}" in text and "torch threads" in text
    json.dumps(found, allow_nan=False)
