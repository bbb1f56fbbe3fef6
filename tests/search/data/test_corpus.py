"""What a document is, what names a corpus, and what is no corpus."""

import json
from pathlib import Path
from typing import Any

import pytest

from search.data.corpus import load_corpus, split_sentences


def test_blank_lines_separate_documents_and_doc_id_joins_rows(corpus: Path) -> None:
    documents = load_corpus(str(corpus)).documents
    assert sorted(len(document) for document in documents) == [4, 4] + [7] * 12
    assert ["The old ship left the harbour before dawn.", "Its captain had not slept."] in [d[:2] for d in documents]


def test_identity_does_not_depend_on_names_or_places(corpus: Path, tmp_path: Path) -> None:
    before = load_corpus(str(corpus))
    (corpus / "deep" / "er").mkdir(parents=True)
    (corpus / "log.txt").rename(corpus / "deep" / "er" / "z.txt")
    (corpus / "more.jsonl").rename(corpus / "a.jsonl")
    corpus.rename(tmp_path / "elsewhere")
    after = load_corpus(str(tmp_path / "elsewhere"))
    assert after == before


def test_identity_depends_on_text_and_on_document_borders(tmp_path: Path) -> None:
    texts = ["One. Two.\n\nThree.", "One. Two. Three.", "One.\n\nTwo. Three.", "One. Two.\n\nThree!"]
    found = set()
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.txt").write_text(text)
        found.add(load_corpus(str(tmp_path / f"{number}.txt")).identity)
    assert len(found) == 4


def test_where_files_are_named_train_only_they_are_read(tmp_path: Path) -> None:
    for name in ("a/train.txt", "b/train.txt", "b/validation.txt", ".hidden/train.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"Text of {name[0]} {name[-9:]}.")
    assert len(load_corpus(str(tmp_path)).documents) == 2


def test_without_doc_id_a_table_is_one_document_and_a_row_without_its_own_id_is_one(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": "One."}, {"text": "Two."}, {"text": "Three."}]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))
    assert load_corpus(str(path)).documents == [["One.", "Two.", "Three."]]
    path.write_text(json.dumps([row | {"doc_id": number} for row, number in zip(rows, (4, None, 4), strict=True)]))
    assert load_corpus(str(path)).documents == [["One.", "Three."], ["Two."]]


def test_a_csv_file_may_say_na_and_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nNA\nNone\n")
    assert load_corpus(str(tmp_path / "a.csv")).documents == [["NA", "None"]]


@pytest.mark.parametrize(
    ("paragraph", "sentences"),
    [
        ("It ended. Nobody came.", ["It ended.", "Nobody came."]),
        ('"Why ?" he said . "Go !" She went .', ['"Why ?" he said .', '"Go !"', "She went ."]),
        ("Mr. Smith met J. R. Jones in St. Ives.", ["Mr. Smith met J. R. Jones in St. Ives."]),
        ("in 3.5 days. then", ["in 3.5 days. then"]),
        ("A <unk> well @-@ known 3 @.@ 5 of 1 @,@ 000", ["A [UNK] well-known 3.5 of 1,000"]),
        ("   ", []),
    ],
)
def test_sentences_end_by_a_simple_rule(paragraph: str, sentences: list[str]) -> None:
    assert split_sentences(paragraph) == sentences


def _empty_folder(folder: Path) -> Path:
    (folder / "notes.md").write_text("no table")
    return folder


def _file(name: str, content: str | bytes) -> Any:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return folder / name

    return write


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nowhere", "a corpus must be a path that exists, or a hub data set written hub:"),
        (_empty_folder, r"a corpus folder must hold \.parquet, \.csv"),
        (_file("a.md", "text"), r"a corpus file must be \.parquet"),
        (_file("a.csv", "sentence,label\nA b.,1\n"), "must have a column 'text', its columns are: sentence, label"),
        (_file("a.csv", "text\n"), "in which every text is empty"),
        (_file("a.txt", ""), "in which every text is empty"),
        (_file("a.txt", " \n\n "), "in which every text is empty"),
        (_file("a.json", '[{"text": 3}]'), "must hold text in its column 'text', got 3"),
        (_file("a.parquet", "not parquet"), r"a\.parquet must be a readable parquet file"),
        (_file("a.json", '{"text": '), r"a\.json must be a readable json file"),
        (_file("a.txt", b"\xff\xfe\xfa bad"), r"a\.txt must be a readable text file"),
        (_file("a.csv", 'text\n"open'), r"a\.csv must be a readable csv file"),
    ],
)
def test_what_is_no_corpus_is_refused_in_one_line(make: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load_corpus(str(make(tmp_path)))
    assert "\n" not in str(caught.value)


def test_a_hub_name_is_given_to_datasets_with_configuration_and_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def load(*names: Any, **options: Any) -> Any:
        calls.append((names, options))
        return datasets.DatasetDict({"train": datasets.Dataset.from_dict({"text": ["One. Two.", "Three."]})})

    monkeypatch.setattr(datasets, "load_dataset", load)
    found = load_corpus("hub:owner/name:raw@v1", tmp_path)
    assert found.documents == [["One.", "Two.", "Three."]]
    assert calls == [(("owner/name", "raw"), {"revision": "v1", "cache_dir": str(tmp_path)})]


def test_what_the_hub_cannot_give_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def fail(*names: Any, **options: Any) -> Any:
        raise ConnectionError("no\nroute")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(ValueError, match="hub:owner/name must be a data set that the hub can give, got: no route"):
        load_corpus("hub:owner/name", tmp_path)
    with pytest.raises(ValueError, match="a hub data set is written hub:owner/name"):
        load_corpus("hub:a/b/c", tmp_path)


def test_reading_leaves_the_settings_of_datasets_as_they_were(corpus: Path) -> None:
    import datasets

    before = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    load_corpus(str(corpus))
    assert (datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()) == before
