"""The real corpora, GLUE and SQuAD, where they are. Counts are those of the data's own README."""

from pathlib import Path

import numpy as np
import pytest

from search.data.corpus import load_corpus
from search.data.metrics import score
from search.data.prepare import open_data, prepare, read_report
from search.data.pretraining import pretraining_batch
from search.data.published import LAYOUTS, read_task
from search.data.rows import Rows, clean
from search.data.source import DataSources
from search.data.spans import decode_spans, encode_spans
from search.data.tasks import expand
from search.data.tokenizer import read_vocabulary

pytestmark = pytest.mark.slow
TEST_ROWS = {
    "cola": 1043,
    "sst2": 872,
    "mrpc": 408,
    "stsb": 1500,
    "mnli": 9815,
    "qnli": 5463,
    "rte": 277,
    "wnli": 71,
    "squad": 10570,
}


def test_the_corpora_have_their_documents_and_no_wikitext_marks(shared_data: Path) -> None:
    corpus = load_corpus(str(shared_data / "corpus"))
    assert len(corpus.documents) == 610 + 433 + 4
    text = " ".join(corpus.documents[-1] + corpus.documents[0])
    assert "<unk>" not in text and " @-@ " not in text
    assert 200_000 < sum(map(len, corpus.documents)) < 250_000


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name not in ("qqp", "squad")])
def test_glue_tasks_keep_their_official_test_rows(name: str, shared_data: Path) -> None:
    task = clean(read_task(name, str(shared_data)), seed=0)
    assert len(task.splits["test"]) == TEST_ROWS[name]
    assert not task.missing["test"]
    share = len(task.splits["validation"]) / (len(task.splits["validation"]) + len(task.splits["train"]))
    assert share == pytest.approx(0.1, abs=0.005)


def test_right_tokens_give_squads_right_answers(shared_data: Path) -> None:
    tokenizer = read_vocabulary(shared_data / "vocab" / "vocab.txt")
    special = [tokenizer.token_to_id(piece) for piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
    from search.data.pretraining import SpecialIds

    ids = SpecialIds(**dict(zip(("pad", "unknown", "start", "separator", "mask"), special, strict=True)))
    whole = read_task("squad", str(shared_data)).splits["validation"]
    rows = Rows(texts=whole.texts[:500], seconds=(whole.seconds or [])[:500], labels=whole.labels[:500])
    compact, spans, _ = encode_spans(rows, tokenizer, ids, 384, training=False)
    split = expand(compact, spans)
    starts, ends = np.zeros(split.token_ids.shape), np.zeros(split.token_ids.shape)
    place = np.arange(len(split))
    starts[place, split.labels[:, 0]] = ends[place, split.labels[:, 1]] = 1
    assert spans is not None
    answers = decode_spans(split, starts, ends)
    assert score("exact_match", answers, spans.answers) > 0.99


def test_the_issues_real_study_is_prepared_and_decodes_to_english(shared_data: Path, tmp_path: Path) -> None:
    sources = DataSources(
        corpus=str(shared_data / "corpus" / "books"),
        vocabulary=str(shared_data / "vocab" / "vocab.txt"),
        length=64,
        tasks=("cola", "stsb"),
        task_data=str(shared_data),
    )
    spec = prepare(sources, tmp_path)
    assert spec.vocab_size == 30522
    data, report = open_data(tmp_path, spec), read_report(tmp_path, spec)
    tokenizer = data.tokenizer()
    assert data.tasks["cola"]["test"].token_ids.shape == (1043, 64)
    assert tokenizer.decode(data.tasks["cola"]["test"].token_ids[0].tolist()).startswith(
        "[CLS] the sailors rode the breeze"
    )
    batch = pretraining_batch(data.pretraining, seed=0, step=0, batch_size=8, length=64)
    assert tokenizer.decode(batch.token_ids[0].tolist(), skip_special_tokens=False).startswith("[CLS]")
    assert report.tasks[0].majority == "acceptable"
    assert report.tasks[0].majority_accuracy == pytest.approx(721 / 1043)
    assert report.corpus.unknown_share < 0.001
