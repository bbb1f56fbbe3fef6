"""Where data come from, as values."""

import pytest

from search.data.source import DataSources, TaskFile, parse_task_file


def test_a_task_file_is_read_from_pairs_between_commas() -> None:
    text = "name=pairs, file=a/b.csv,text=question,text2=sentence,label=gold,metric=f1"
    expected = TaskFile(path="a/b.csv", name="pairs", text="question", text2="sentence", label="gold", metric="f1")
    assert parse_task_file(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name=a,file=b.csv,text=t,metric=accuracy", "without label"),
        ("name=a,file=b.csv,text=t,label=l,metric=accuracy,colour=red", "got 'colour=red'"),
        ("name=a,name=b", "got name twice"),
        ("reviews.csv", "got 'reviews.csv'"),
        ("name=a,file=,text=t", "got 'file='"),
        ("name=a,file=b.csv,text=t,label=l,metric=bleu", "metric must be one of accuracy, f1, matthews"),
        ("name=a/b,file=b.csv,text=t,label=l,metric=f1", "name must be letters, digits and underscores"),
        ("name=a,file=b.csv,text=t,label=t,metric=f1", "must be different columns"),
    ],
)
def test_a_task_file_that_cannot_be_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_task_file(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocab_size": 3}, "vocab_size must be at least 16, got 3"),
        ({"length": 8}, "length must be at least 16 tokens, got 8"),
        ({"split_seed": -1}, "split_seed must be zero or more, got -1"),
        ({"tasks": ("cola", "cola")}, "every task must be named once, got cola"),
    ],
)
def test_sources_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataSources(**settings)  # type: ignore[arg-type]
