"""How an answer text is compared with the right ones, as SQuAD scores it.

Knows nothing of tokens or models. Source: Rajpurkar et al. 2016 (https://arxiv.org/abs/1606.05250), section 6.1: ASCII
punctuation and the articles a, an and the are left out, case and spacing do not count, and the best of several right
answers counts.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

ARTICLES = re.compile(r"\b(a|an|the)\b")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(answer: str) -> str:
    """What of an answer counts.

    >>> normalised("The  Eiffel-Tower, (a landmark)!")
    'eiffeltower landmark'
    """
    return " ".join(ARTICLES.sub(" ", answer.lower().translate(NO_PUNCTUATION)).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 when the prediction is one of the right answers, else 0.0."""
    return float(normalised(prediction) in {normalised(answer) for answer in answers})


def span_f1(prediction: str, answers: Sequence[str]) -> float:
    """Best F1 of shared words over the right answers, in [0, 1].

    >>> span_f1("in May 1940", ["10 May 1940", "1940"])
    0.6666666666666666
    """
    return max((_f1(normalised(prediction).split(), normalised(answer).split()) for answer in answers), default=0.0)


def _f1(prediction: list[str], answer: list[str]) -> float:
    if not prediction or not answer:
        return float(prediction == answer)
    shared = (Counter(prediction) & Counter(answer)).total()
    return 2 * shared / (len(prediction) + len(answer))
