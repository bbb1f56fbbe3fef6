"""The command line: bad input is one line and status 2, --json is one document, and nothing else is printed."""

import contextlib
import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from studies import catalogue
from studies.command_line import main

TINY = Path(__file__).resolve().parents[1] / "search" / "tiny_study.py"
RUN = ("run", "tiny", "--scale", "smoke", "--runs", "runs")


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    place = importlib.util.spec_from_file_location("tiny_study", TINY)
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def thinbert(*arguments: str, folder: Path, file_bytes: int | None = None) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, with the tiny search as its only study."""
    limit = () if file_bytes is None else ("--file-bytes", str(file_bytes))
    return subprocess.run(
        [sys.executable, "-P", str(TINY), *limit, "thinbert", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with packages of our names that must not be imported, in which the tiny search was run to its end."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in ("search", "reports", "studies", "model_zoo"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise RuntimeError('the user\\'s own {name} was imported')\n")
    done = thinbert(*RUN, "--workers", "2", "--json", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["run"] == "runs/tiny-smoke" and (folder / document["report"]).exists()
    assert set(document["trials"].values()) == {"complete"} and len(document["trials"]) == 2
    return folder


@pytest.fixture
def place(ran: Path, tmp_path: Path, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder of runs, being the current folder, with the tiny search as a study."""
    shutil.copytree(ran / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tiny_study", tiny)
    monkeypatch.setitem(catalogue.MODULES, "tiny", "tiny_study")
    return tmp_path


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time of change."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which a command is refused."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("thinbert: ") and err.endswith("\n") and err.count("\n") == 1, err
    return err.removeprefix("thinbert: ").strip()


STUDENT = ("run", "student-search", "--scale", "smoke", "--runs", "runs")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("run", "student-serch"), ("'student-serch'", "did you mean student-search?")),
        (("show", "nothing-like-it"), ("`thinbert list`", "'nothing-like-it'", "knowledge-transfer")),
        (("show", "student-search", "--scale", "huge"), ("smoke, cpu, gpu, paper", "'huge'")),
        (("run", "student-search", "--scale", "huge"), ("smoke, cpu, gpu, paper", "'huge'")),
        ((*STUDENT, "--workers", "0"), ("at least 1", "got 0")),
        ((*STUDENT, "--workers", "-1"), ("at least 1", "got -1")),
        ((*STUDENT, "--workers", "two"), ("--workers", "whole number", "'two'", "--help")),
        ((*STUDENT, "--workers", "1.5"), ("--workers", "whole number", "'1.5'", "--help")),
        ((*STUDENT, "--trials", "0"), ("at least 1", "got 0")),
        ((*STUDENT, "--trials", "-3"), ("at least 1", "got -3")),
        ((*STUDENT, "--trials", "many"), ("--trials", "whole number", "'many'", "--help")),
        ((*STUDENT, "--max-latency-ms", "0"), ("--max-latency-ms must be above 0 and finite", "got 0")),
        ((*STUDENT, "--max-latency-ms", "-20"), ("above 0", "got -20")),
        ((*STUDENT, "--max-latency-ms", "nan"), ("above 0", "got nan")),
        ((*STUDENT, "--max-latency-ms", "fast"), ("--max-latency-ms", "fast", "--help")),
        ((*STUDENT, "--threads", "0"), ("at least 1", "got 0")),
        ((*STUDENT, "--threads", "1.5"), ("--threads", "whole number", "'1.5'", "--help")),
        ((*STUDENT, "--device", "tpu"), ("auto, cpu or cuda", "'tpu'")),
        ((*STUDENT, "--device", "cpu", "--accelerate", "graphs"), ("CUDA graphs", "device cpu")),
        ((*STUDENT, "--device", "cpu", "--accelerate", "fp16"), ("--accelerate takes compile, graphs", "'fp16'")),
        ((*STUDENT, "--replicas", "0"), ("--replicas must be at least 1", "got 0")),
        ((*STUDENT, "--no-such-option"), ("--no-such-option", "--help")),
        (("frobnicate",), ('"frobnicate"', "--help")),
        ((*STUDENT, "--corpus", "corpus"), ("--corpus needs tasks", "'corpus'", "--task-file")),
        ((*STUDENT, "--task-data", "data"), ("need a --corpus",)),
        ((*STUDENT, "--vocabulary", "vocab.txt"), ("needs a --corpus",)),
        ((*STUDENT, "--corpus", "nowhere", "--task-data", ".", "--tasks", "sst2"), ("path that exists", "'nowhere'")),
        ((*STUDENT, "--corpus", "empty", "--task-file", "{task}"), ("must hold .parquet", "'empty'")),
        ((*STUDENT, "--corpus", "blank.txt", "--task-file", "{task}"), ("blank.txt",)),
        ((*STUDENT, "--corpus", "numbers.csv", "--task-file", "{task}"), ("numbers.csv", "text")),
        ((*STUDENT, "--corpus", "book.txt", "--task-file", "nonsense"), ("name=...", "'nonsense'")),
        ((*STUDENT, "--corpus", "book.txt", "--task-file", "{task},metric=bleu"), ("metric twice",)),
        ((*STUDENT, "--corpus", "book.txt", "--task-file", "{lost}"), ("lost.csv",)),
        ((*STUDENT, "--corpus", "book.txt", "--task-file", "{column}"), ("'taste'", "text, label")),
        ((*STUDENT, "--corpus", "book.txt", "--task-data", ".", "--tasks", "sst2"), ("sst2",)),
        (("compare", "bert-bose"), ("'bert-bose'", "bert-base")),
        (("compare",), ("at least one name", "mobilebert")),
        (("compare", "bert-base", "--length", "0"), ("at least 1 token", "got 0")),
        (("compare", "broken.json"), ("broken.json", "must hold JSON")),
        (("compare", "list.json"), ("list.json", "must be a JSON object")),
        (("compare", "nowhere:0123"), ("'nowhere:0123'",)),
        (("compare", "empty:0123"), ("'empty'",)),
        (("report", "nowhere"), ("`thinbert run` wrote", "nowhere")),
        (("report", "empty"), ("study.json", "empty")),
        (("clean", "empty"), ("study.json", "empty")),
        (("runs", "nowhere"), ("must exist", "nowhere")),
        (("runs", "book.txt"), ("must exist", "book.txt")),
        (("run", "student-search", "--scale", "smoke", "--runs", "book.txt"), ("--runs must be a folder", "book.txt")),
    ],
)
def test_bad_input_is_one_line_with_the_rule_the_value_and_the_way_out(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank.txt").write_text(" \n\n")
    (tmp_path / "book.txt").write_text("A ship left the harbour. Nobody waved.\n\nA wind came. The crew sang.\n" * 20)
    (tmp_path / "numbers.csv").write_text("first,second\n1,2\n3,4\n")
    (tmp_path / "tasks.csv").write_text("text,label\n" + "".join(f"fine {row},1\nbad {row},0\n" for row in range(20)))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[1]")
    texts = {
        "{task}": "name=mine,file=tasks.csv,text=text,label=label,metric=accuracy",
        "{lost}": "name=mine,file=lost.csv,text=text,label=label,metric=accuracy",
        "{column}": "name=mine,file=tasks.csv,text=text,label=taste,metric=accuracy",
    }
    for name, text in texts.items():
        arguments = tuple(argument.replace(name, text) for argument in arguments)
    before = listing(tmp_path)
    line = refusal(capsys, *arguments)
    assert all(part in line for part in parts), line
    assert not (tmp_path / "runs" / "student-search-smoke").exists()
    assert {name: value for name, value in listing(tmp_path).items() if not name.startswith("runs/data")} == before


CONFIG = {
    "num_layers": 2,
    "hidden_size": 16,
    "bottleneck_size": 8,
    "num_heads": 2,
    "feed_forward_size": 32,
    "embedding_size": 8,
    "vocab_size": 100,
}


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"num_heads": 3}, ("3",)),
        ({"num_feed_forward": 0}, ("num_feed_forward", "0")),
        ({"hidden_size": -16}, ("hidden_size", "-16")),
        ({"bottleneck_size": 0}, ("bottleneck_size", "0")),
        ({"vocab_size": -1}, ("vocab_size", "-1")),
        ({"num_layers": 2.5}, ("num_layers", "2.5", "whole number")),
        ({"num_layers": "two"}, ("num_layers", "'two'")),
        ({"num_blocks": 3}, ("no field 'num_blocks'", "num_layers")),
        ({"norm": "batch_norm"}, ("norm", "layer_norm, no_norm", "'batch_norm'")),
        ({"hidden_dropout": float("nan")}, ("hidden_dropout",)),
    ],
)
def test_a_config_that_cannot_exist_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, changed: dict[str, Any], parts: tuple[str, ...]
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(CONFIG))
    assert main(["compare", str(path)]) == 0
    capsys.readouterr()
    path.write_text(json.dumps({**CONFIG, **changed}))
    line = refusal(capsys, "compare", str(path))
    assert all(part in line for part in parts), line


def test_a_gpu_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    before = listing(place)
    line = refusal(capsys, *RUN, "--device", "cuda")
    assert line == "--device cuda needs a GPU that torch can use, found none; use --device cpu or auto"
    assert listing(place) == before


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--tasks", "acceptability,astrology"), ("'astrology'", "acceptability, ")),
        (("--try", "num_heads=3"), ("num_heads=3", "bottleneck_size, num_feed_forward")),
        (("--try", "num_feed_forward=7"), ("1, 2, 3", "'7'")),
        (("--try", "nonsense"), ("KNOB=VALUE", "'nonsense'")),
        (("--tasks", "acceptability"), ("tiny-smoke belongs to another run", "--runs")),
        (("--runtime", "onyx"), ("runtime must be one of eager", "'onyx'")),
        (("--runtime", "cuda-graph", "--device", "cpu"), ("needs a GPU", "runtime eager")),
        (("--runtime", "onnx"), ("begun with latency in eager with 1 thread", "asked for was in onnx", "--runs")),
        (("--threads", "2"), ("begun with latency in eager with 1 thread", "with 2 threads, without a cap", "--runs")),
        (("--max-latency-ms", "5"), ("1 thread, without a cap", "at most 5.0 ms", "--runs")),
        (("--profile", "nowhere.json"), ("a device profile must be a file", "nowhere.json")),
    ],
)
def test_what_is_wrong_with_a_run_leaves_its_folder_as_it_was(
    capsys: pytest.CaptureFixture[str], place: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    run = place / "runs" / "tiny-smoke"
    before = listing(run)
    line = refusal(capsys, *RUN, *arguments)
    assert all(part in line for part in parts), line
    assert listing(run) == before


def test_a_folder_that_is_no_run_or_another_studys_is_not_written_to(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    run = place / "runs" / "tiny-smoke"
    study = run / "study.json"
    original = study.read_text()
    for content, part in [
        (original.replace('"study": "tiny"', '"study": "other"'), "belongs to another run: its study is other"),
        (original.replace('"schema": 1', '"schema": 2'), "must have schema 1"),
        (original[:100], "must hold JSON"),
        ("[]", "must have schema 1"),
    ]:
        study.write_text(content)
        before = listing(run)
        assert part in refusal(capsys, *RUN)
        assert listing(run) == before
    study.unlink()
    assert "must be a run folder or empty" in refusal(capsys, *RUN)


def test_a_run_that_is_in_use_is_refused(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    run = place / "runs" / "tiny-smoke"
    with (run / ".lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        before = listing(run)
        assert "in use by another process" in refusal(capsys, *RUN)
        assert "is being run" in refusal(capsys, "clean", "runs/tiny-smoke")
        assert listing(run) == before
        assert main(["runs", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["status"] == "running"


def test_corrupted_trial_files_are_named_by_every_verb_that_reads_them(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    run = place / "runs" / "tiny-smoke"
    bad = sorted((run / "trials").glob("*.json"))[0]
    bad.write_text(bad.read_text()[:500])
    assert main(["report", "runs/tiny-smoke", "--out", "page"]) == 0
    assert bad.name in (place / "page" / "index.html").read_text()
    assert main(["clean", "runs/tiny-smoke", "--dry-run"]) == 0
    assert main(["runs"]) == 0
    assert bad.exists()
    capsys.readouterr()
    assert main(RUN) == 0
    out, err = capsys.readouterr()
    told = [line for line in err.splitlines() if bad.name in line]
    assert len(told) == 1 and f"moved to quarantine/{bad.name}" in told[0]
    assert "report: runs/tiny-smoke/index.html" in out
    assert json.loads(bad.read_text())["status"] == "complete"


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--json"),
        ("show", "student-search", "--scale", "smoke", "--json"),
        ("show", "knowledge-transfer", "--json"),
        ("compare", "mobilebert", "bert-base", "--json"),
        ("compare", "runs/tiny-smoke:{trial}", "mobilebert", "--json"),
        ("runs", "--json"),
        ("clean", "runs/tiny-smoke", "--dry-run", "--json"),
        ("clean", "runs/tiny-smoke", "--json"),
        ("report", "runs/tiny-smoke", "--out", "page", "--json"),
        (*RUN, "--json"),
    ],
)
def test_json_is_one_document_and_nothing_else(
    capfd: pytest.CaptureFixture[str], place: Path, arguments: tuple[str, ...]
) -> None:
    trial = next((place / "runs" / "tiny-smoke" / "trials").glob("*.json")).stem
    assert main([argument.replace("{trial}", trial[:8]) for argument in arguments]) == 0
    out, err = capfd.readouterr()
    assert isinstance(json.loads(out), dict | list)
    assert err == ""


def test_clean_keeps_records_and_what_the_front_needs(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    run = place / "runs" / "tiny-smoke"
    (run / "quarantine").mkdir()
    (run / "quarantine" / "old.json").write_text("{")
    before = listing(run)
    assert main(["clean", "runs/tiny-smoke", "--dry-run"]) == 0
    assert "would remove quarantine/old.json" in capsys.readouterr().out
    assert listing(run) == before
    assert main(["clean", "runs/tiny-smoke"]) == 0
    kept = listing(run)
    assert "quarantine/old.json" not in kept
    assert {name for name in before if name.startswith(("trials", "latency", "study", "optuna"))} <= set(kept)
    assert any(name.startswith("weights") for name in kept)


def no_half_files(folder: Path) -> bool:
    return not [path for path in folder.rglob("*") if path.name.endswith(".tmp") or path.name.startswith(".preparing")]


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(ran: Path, tmp_path: Path) -> None:
    for file_bytes, where in ((20_000, "corpus.safetensors"), (150_000, "teachers")):
        done = thinbert(*RUN, "--json", folder=tmp_path, file_bytes=file_bytes)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert "File too large" in done.stderr and where in done.stderr and "same command" in done.stderr
        assert no_half_files(tmp_path)
        assert not list(tmp_path.glob("runs/*/trials/*"))
    shutil.rmtree(tmp_path / "runs" / "teachers")
    shutil.copytree(ran / "runs" / "teachers", tmp_path / "runs" / "teachers")
    done = thinbert(*RUN, "--json", folder=tmp_path, file_bytes=60_000)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "cannot write the Optuna study" in done.stderr and "optuna.db" in done.stderr
    assert no_half_files(tmp_path) and not list(tmp_path.glob("runs/*/trials/*"))
    done = thinbert(*RUN, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    mine, theirs = (folder / "runs" / "tiny-smoke" / "weights" for folder in (tmp_path, ran))
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == {
        path.name: path.read_bytes() for path in theirs.iterdir()
    }


@pytest.fixture
def shipped(ran: Path) -> Path:
    """The installed command."""
    script = Path(sys.executable).with_name("thinbert")
    if not script.exists():
        pytest.skip("the command thinbert is not installed beside this Python")
    return script


@pytest.mark.parametrize("arguments", [("--help",), ("list",), ("compare", "mobilebert"), ("runs", "--json")])
def test_the_installed_command_ignores_packages_of_its_names_in_the_current_folder(
    shipped: Path, ran: Path, arguments: tuple[str, ...]
) -> None:
    done = subprocess.run([shipped, *arguments], cwd=ran, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_away_ends_the_installed_command_in_silence(shipped: Path) -> None:
    process = subprocess.Popen([shipped, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()  # as `| head` does once it has enough
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (141, b"")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes through /proc")
@pytest.mark.parametrize("seconds", [0.3, 6.0])
def test_ctrl_c_ends_the_installed_command_at_once_with_one_line_and_no_orphan(
    shipped: Path, ran: Path, tiny: ModuleType, tmp_path: Path, seconds: float
) -> None:
    shutil.copytree(ran / "search", tmp_path / "search")
    process = subprocess.Popen(
        [shipped, "run", "student-search", "--scale", "smoke", "--workers", "2"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with ended(process):
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("training the teacher"):
                break
        time.sleep(seconds)
        others = tiny.descendants(process.pid)
        started = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - started < 15  # no longer than the fork server's imports
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted; the same command goes on where this one stopped\n"
    assert tiny.gone(others, 3.0)


@contextlib.contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Sees that a process group is gone at the end."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)
