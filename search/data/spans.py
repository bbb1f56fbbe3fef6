"""Questions about a context as windows of one length, and token scores as answer texts.

Knows nothing of models. A context that does not fit is cut into windows that overlap by half.
Source: Devlin et al. 2019, section 4.2; windows and the 30-token limit as in BERT's SQuAD script (stride 128 of 320).
What differs: of a train question's windows without its answer only one is kept; at small lengths most would be such.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from search.data.pretraining import SpecialIds
from search.data.rows import Rows
from search.data.tasks import Compact, SpanText, TaskSplit, assemble, encode_texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MOST_QUESTION_TOKENS = 64
QUESTION_SHARE = 3
"""A question gets at most one part in so many of the length."""
MOST_ANSWER_TOKENS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """One sequence of a question."""

    example: int
    question: list[int]
    begin: int
    """First context token in it."""
    end: int
    """Context token behind its last."""
    answer: tuple[int, int]
    """First and last token of the answer in the sequence; 0 0 where it is not (wholly) in this window."""


def encode_spans(
    rows: Rows, tokenizer: "Tokenizer", special: SpecialIds, length: int, *, training: bool
) -> tuple[Compact, SpanText | None, int]:
    """Rows of questions (texts), contexts (seconds) and answers (labels).

    Args:
        training: keep one answerless window per question and no texts.

    Returns:
        The arrays (labels int64[window, 2]), the texts (None when training), and how many rows had their question cut
        or their context spread over windows.
    """
    contexts = rows.seconds or []
    encoded = _encode_contexts(tokenizer, contexts)
    limit = min(MOST_QUESTION_TOKENS, length // QUESTION_SHARE)
    windows: list[Window] = []
    cut = 0
    for example, question in enumerate(encode_texts(tokenizer, rows.texts)):
        ids, offsets = encoded[contexts[example]]
        answer = _answer_tokens(offsets, *rows.labels[example][0])
        found = _windows(example, question[:limit], len(ids), answer, length)
        cut += len(question) > limit or len(found) > 1
        windows += _for_training(found, example) if training else found
    sequences = [
        (window.question, encoded[contexts[window.example]][0][window.begin : window.end]) for window in windows
    ]
    labels = np.array([window.answer for window in windows], dtype=np.int64).reshape(-1, 2)
    compact = assemble(sequences, labels, special, length, paired=True)
    if training:
        return compact, None, cut
    spans = SpanText(
        examples=np.array([window.example for window in windows], dtype=np.int64),
        characters=_characters(windows, [encoded[context][1] for context in contexts], length),
        contexts=list(contexts),
        answers=[[text for text, _ in answers] for answers in rows.labels],
    )
    return compact, spans, cut


def decode_spans(
    split: TaskSplit,
    start_scores: npt.NDArray[Any],
    end_scores: npt.NDArray[Any],
    most_tokens: int = MOST_ANSWER_TOKENS,
) -> list[str]:
    """The best answer text of each question over all its windows.

    Args:
        split: a validation or test split of spans.
        start_scores, end_scores: [window, length], larger is likelier; a span's score is their sum.
        most_tokens: longest answer.

    Raises:
        ValueError: the split has no texts.
    """
    spans = split.spans
    if spans is None:
        raise ValueError("answers can be read off a validation or test split of spans, got a split without texts")
    inside = spans.characters[:, :, 1] > spans.characters[:, :, 0]
    starts, ends = np.where(inside, start_scores, -np.inf), np.where(inside, end_scores, -np.inf)
    length = starts.shape[1]
    best = np.full(len(split), -np.inf)
    place = np.zeros((len(split), 2), dtype=np.int64)
    for extra in range(min(most_tokens, length)):
        sums = starts[:, : length - extra] + ends[:, extra:]
        first = np.argmax(sums, axis=1)
        value = np.take_along_axis(sums, first[:, None], axis=1)[:, 0]
        better = value > best
        best[better] = value[better]
        place[better] = np.stack([first, first + extra], axis=1)[better]
    order = np.lexsort((-best, spans.examples))  # by question, the best window first
    chosen = order[np.unique(spans.examples[order], return_index=True)[1]]
    return [_text(spans, int(window), *place[window].tolist()) for window in chosen]


def _text(spans: SpanText, window: int, first: int, last: int) -> str:
    begin, end = int(spans.characters[window, first, 0]), int(spans.characters[window, last, 1])
    return spans.contexts[int(spans.examples[window])][begin:end]


def _encode_contexts(tokenizer: "Tokenizer", contexts: list[str]) -> dict[str, tuple[list[int], npt.NDArray[np.int32]]]:
    """Token ids and character offsets [token, 2] of each distinct context."""
    distinct = list(dict.fromkeys(contexts))
    encodings = tokenizer.encode_batch(distinct, add_special_tokens=False)
    return {
        context: (encoding.ids, np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2))
        for context, encoding in zip(distinct, encodings, strict=True)
    }


def _answer_tokens(offsets: npt.NDArray[np.int32], text: str, start: int) -> tuple[int, int]:
    """First and last context token that the answer touches; 0 and -1 where there is none."""
    touched = np.flatnonzero((offsets[:, 1] > start) & (offsets[:, 0] < start + len(text)))
    return (int(touched[0]), int(touched[-1])) if len(touched) else (0, -1)


def _windows(example: int, question: list[int], num_tokens: int, answer: tuple[int, int], length: int) -> list[Window]:
    budget = length - 3 - len(question)
    stride = budget // 2
    before = len(question) + 2
    windows = []
    for begin in range(0, max(num_tokens - budget, 0) + stride, stride):
        end = min(begin + budget, num_tokens)
        holds = begin <= answer[0] <= answer[1] < end
        place = (answer[0] - begin + before, answer[1] - begin + before) if holds else (0, 0)
        windows.append(Window(example=example, question=question, begin=begin, end=end, answer=place))
        if end == num_tokens:
            break
    return windows


def _for_training(windows: list[Window], example: int) -> list[Window]:
    """The windows with the answer and one without, a different one from question to question."""
    without = [window for window in windows if window.answer == (0, 0)]
    kept = without[example % len(without)] if without else None
    return [window for window in windows if window.answer != (0, 0) or window is kept]


def _characters(windows: list[Window], offsets: list[npt.NDArray[np.int32]], length: int) -> npt.NDArray[np.int32]:
    characters = np.zeros((len(windows), length, 2), dtype=np.int32)
    for row, window in enumerate(windows):
        before = len(window.question) + 2
        characters[row, before : before + window.end - window.begin] = offsets[window.example][
            window.begin : window.end
        ]
    return characters
