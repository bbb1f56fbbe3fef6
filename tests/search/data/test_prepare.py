"""The folder of prepared data: whole or absent, used again, repaired, and the same from anywhere."""

import errno
import logging
import multiprocessing
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search.data import load as loading
from search.data.generated_spec import GeneratorSpec
from search.data.prepare import data_spec, open_data, prepare, read_report
from search.data.pretraining import pretraining_batch
from search.data.source import DataSources, TaskFile
from search.data.spec import DataSpec
from search.fingerprint import fingerprint

ROOT = Path(__file__).resolve().parents[3]
SMALL = GeneratorSpec(num_documents=60, num_train=40, num_validation=10, num_test=12)


@pytest.fixture
def sources(corpus: Path, reviews: Path) -> DataSources:
    task = TaskFile(path=str(reviews), name="stars", text="review", label="stars", metric="accuracy")
    return DataSources(corpus=str(corpus), vocab_size=150, length=24, task_files=(task,))


def test_what_is_prepared_can_be_opened_and_read_as_text(sources: DataSources, tmp_path: Path) -> None:
    spec = prepare(sources, tmp_path / "data")
    found = open_data(tmp_path / "data", spec)
    assert found.pretraining.num_documents == 14
    split = found.tasks["stars"]["train"]
    text = found.tokenizer().decode(split.token_ids[0].tolist(), skip_special_tokens=False)
    assert "[CLS] the ship n" in text and split.labels.dtype == np.int64
    assert found.tokenizer().get_vocab_size() == spec.vocab_size <= 150
    batch = pretraining_batch(found.pretraining, seed=0, step=0, batch_size=4, length=spec.length)
    assert batch.token_ids.max() < spec.vocab_size
    assert read_report(tmp_path / "data", spec).tasks[0].rows == {"train": 48, "validation": 5, "test": 7}


def test_the_spec_is_known_without_preparing_and_does_not_depend_on_paths(
    sources: DataSources, corpus: Path, tmp_path: Path
) -> None:
    spec = data_spec(sources)
    shutil.copytree(corpus, tmp_path / "copy")
    assert data_spec(replace(sources, corpus=str(tmp_path / "copy"))) == spec
    assert prepare(sources, tmp_path / "data") == spec
    (tmp_path / "copy" / "log.txt").write_text("Another text. Of two sentences.")
    assert data_spec(replace(sources, corpus=str(tmp_path / "copy"))).corpus != spec.corpus


def test_what_is_whole_is_used_again_and_nothing_is_read(
    sources: DataSources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = prepare(sources, tmp_path / "data")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.*")}
    monkeypatch.setattr(loading, "load", lambda *arguments: pytest.fail("read again"))
    assert prepare(sources, tmp_path / "data") == spec
    assert data_spec(sources, tmp_path / "data") == spec
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.*")} == before


def test_a_changed_source_is_noticed(sources: DataSources, corpus: Path, tmp_path: Path) -> None:
    first = prepare(sources, tmp_path / "data")
    (corpus / "more.jsonl").write_text('{"text": "New. Text."}\n')
    second = prepare(sources, tmp_path / "data")
    assert first != second
    assert open_data(tmp_path / "data", first).folder != open_data(tmp_path / "data", second).folder


@pytest.mark.parametrize("name", ["corpus.safetensors", "stars-train.safetensors", "tokenizer.json", "data.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_what_is_corrupted_is_moved_aside_and_made_again(
    name: str, damage: str, sources: DataSources, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data"
    spec = prepare(sources, folder)
    place = folder / fingerprint(spec)
    whole = {path.name: path.read_bytes() for path in place.iterdir()}
    if damage == "cut":
        (place / name).write_bytes(whole[name][:-10])
    else:
        (place / name).unlink()
    with caplog.at_level(logging.WARNING):
        assert prepare(sources, folder) == spec
    assert f"prepared data {place} are corrupted" in caplog.text and name in caplog.text
    assert {path.name: path.read_bytes() for path in place.iterdir()} == whole
    assert (folder / f"{place.name}.corrupt-1").is_dir()


def test_a_corrupted_memo_is_not_used(sources: DataSources, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = prepare(sources, tmp_path / "data")
    (memo,) = (tmp_path / "data" / ".memo").iterdir()
    memo.write_text("{")
    assert prepare(sources, tmp_path / "data") == spec
    assert memo.name in caplog.text


def test_a_full_disk_leaves_nothing_half_written(
    sources: DataSources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.data import prepare as module

    def write(path: Path, content: bytes | str) -> None:
        if path.name == "stars-test.safetensors":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    monkeypatch.setattr(module, "write_whole", write)
    with pytest.raises(OSError, match="No space left on device"):
        prepare(sources, tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir() if not path.name.startswith((".memo", ".lock"))] == []
    monkeypatch.undo()
    open_data(tmp_path / "data", prepare(sources, tmp_path / "data"))


def test_what_a_killed_process_left_is_cleared(sources: DataSources, tmp_path: Path) -> None:
    (tmp_path / "data" / ".preparing-dead").mkdir(parents=True)
    prepare(sources, tmp_path / "data")
    assert not (tmp_path / "data" / ".preparing-dead").exists()


def _prepare(sources: DataSources, folder: Path) -> DataSpec:
    return prepare(sources, folder)


def test_two_processes_at_once_make_it_once(sources: DataSources, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        specs = pool.starmap(_prepare, [(sources, tmp_path / "data")] * 2)
    assert specs[0] == specs[1]
    names = [path.name for path in (tmp_path / "data").iterdir() if not path.name.startswith(".")]
    assert names == [fingerprint(specs[0])]


def test_the_built_in_language_is_prepared_with_its_own_word_pieces(tmp_path: Path) -> None:
    sources = DataSources(length=32, tasks=("sentiment", "similarity", "answering"), generator=SMALL)
    spec = prepare(sources, tmp_path)
    assert [task.kind for task in spec.tasks] == ["classification", "regression", "span"]
    assert spec == data_spec(sources)
    found = open_data(tmp_path, spec)
    assert found.tasks["similarity"]["test"].labels.dtype == np.float32
    spans = found.tasks["answering"]["test"].spans
    assert spans is not None and len(spans.answers) == 12
    assert found.tasks["answering"]["train"].labels.any(axis=1).all()
    report = read_report(tmp_path, spec)
    assert report.corpus.unknown_share == 0
    other = DataSources(length=32, tasks=sources.tasks, generator=replace(SMALL, language_seed=1))
    assert data_spec(other).corpus != spec.corpus


def test_an_unknown_built_in_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a built-in task must be one of .*, got 'cola'; give the folder"):
        prepare(DataSources(tasks=("cola",), generator=SMALL), tmp_path)


def test_data_that_were_not_prepared_are_not_opened(sources: DataSources, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="data must be prepared before they are opened"):
        open_data(tmp_path, data_spec(sources))


def test_a_broken_array_file_is_named_when_it_is_opened(sources: DataSources, tmp_path: Path) -> None:
    spec = prepare(sources, tmp_path)
    path = tmp_path / fingerprint(spec) / "stars-test.safetensors"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"stars-test\.safetensors must be a whole safetensors file"):
        open_data(tmp_path, spec)


def test_opening_imports_no_heavy_library(sources: DataSources, tmp_path: Path) -> None:
    prepare(sources, tmp_path)
    program = (
        "import sys, json, pathlib\n"
        "from search.data.prepare import open_data\n"
        "from search.data.spec import DataSpec\n"
        "from search.values import from_json\n"
        "path = next(pathlib.Path(sys.argv[1]).glob('*/data.json'))\n"
        "open_data(path.parent.parent, from_json(DataSpec, json.loads(path.read_text())['spec']))\n"
        "print([name for name in ('torch', 'datasets', 'pandas', 'tokenizers', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
