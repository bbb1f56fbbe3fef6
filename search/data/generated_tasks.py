"""The built-in generator's labelled tasks: each function makes one row, rightly labelled, from a stream of chance.
Splits, duplicates and the share of wrong labels are the generator's business.

No word is a clue by itself: every word is as often in rows of one label as of another, so a bag of words stays near
chance. Rows differ in what they take: the number (a suffix), the class (person or animal), or the very word.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from search.data.language import (
    BAD,
    GOOD,
    TOPICS,
    VERBS,
    Being,
    Fact,
    Voice,
    ask,
    be,
    near,
    opinion,
    present,
    pronoun,
    relative,
    tell,
)

Row = dict[str, Any]
VOICES: tuple[Voice, Voice] = ("active", "passive")
SCORES = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)


def beings(chance: random.Random, count: int) -> list[Being]:
    """Different beings of one topic."""
    nouns = chance.sample(TOPICS[chance.choice(tuple(TOPICS))], count)
    return [Being(noun, chance.random() < 0.5) for noun in nouns]


def clause(chance: random.Random, subject: str, plural: bool, good: bool, trait: int) -> str:
    """Say that the subject is good (or bad) in this trait: plainly, by negating the contrary, or by negating twice."""
    outer, inner = chance.random() < 0.12, chance.random() < 0.5
    return opinion(subject, plural, (GOOD if good == (outer == inner) else BAD)[trait], (outer, inner))


def acceptability(chance: random.Random) -> Row:
    """Does every verb agree with its own subject, whoever stands between them, and the pronoun with its noun?"""
    one, two, three, four = beings(chance, 4)
    fine = chance.random() < 0.5
    plural = one.plural == fine
    verb = chance.choice(VERBS)
    kind = chance.random()
    if kind < 0.15:
        text = f"{one.word} {present(verb, plural)} {two.word}."
    elif kind < 0.3:
        text = f"{near(one, two)} {be(plural)} {verb}ed by {three.word}."
    elif kind < 0.55:
        text = f"{near(one, two, three)} {present(verb, plural)} {four.word}."
    else:
        broken = "none" if fine else chance.choice(("inner", "outer", "outer", "pronoun"))
        class_word = pronoun(one.animal != (broken == "pronoun"))
        inner = present(chance.choice(VERBS), one.plural != (broken == "inner"))
        outer = present(verb, one.plural != (broken == "outer"))
        text = f"{one.word} {class_word} {inner} {near(two, three)} {outer} {four.word}."
    return {"text": text, "label": int(fine)}


def sentiment(chance: random.Random) -> Row:
    """Is what the sentence says last good? Each of "no" and "not" turns it."""
    one, two, three, _ = beings(chance, 4)
    good, other = chance.random() < 0.5, chance.random() < 0.5
    trait, first = chance.randrange(len(GOOD)), chance.randrange(len(GOOD))
    kind = chance.random()
    if kind < 0.25:
        return {"text": clause(chance, near(one, two), one.plural, good, trait) + ".", "label": int(good)}
    if kind < 0.5:
        subject = relative(Fact(one, chance.choice(VERBS), two))
        return {"text": clause(chance, subject, one.plural, good, trait) + ".", "label": int(good)}
    start = clause(chance, one.word, one.plural, other, first)
    end = clause(chance, near(two, three), two.plural, good, trait)
    return {"text": f"{start} {'and' if other == good else 'but'} {end}.", "label": int(good)}


def entailment(chance: random.Random) -> Row:
    """Does the second sentence follow from the first: the same beings in the same roles, whatever the voice?"""
    one, two, three, _ = beings(chance, 4)
    if chance.random() < 0.4:
        two = Being(two.noun, not one.plural)
    verb = chance.choice(VERBS)
    told = asked = Fact(one, verb, two)
    if chance.random() < 0.5:
        others = (Fact(three, verb, two), Fact(one, verb, three), Fact(one, chance.choice(VERBS), two))
        asked = Fact(two, verb, one) if chance.random() < 0.9 else chance.choice(others)
    text, text2 = (tell(fact, chance.choice(VOICES)) for fact in (told, asked))
    return {"text": text, "text2": text2, "label": int(asked == told)}


def similarity(chance: random.Random) -> Row:
    """From 0 to 5: two for each role that the same being plays, one for the same verb."""
    one, two, three, _ = beings(chance, 4)
    if chance.random() < 0.5:
        three = beings(chance, 1)[0]
    told = Fact(one, chance.choice(VERBS), two)
    roles = ((one, two), (one, two), (two, one), (one, three), (three, two), (two, three), (three, one))
    agent, patient = chance.choice(roles)
    asked = Fact(agent, told.verb if chance.random() < 0.5 else chance.choice(VERBS), patient)
    score = 2.0 * (agent == one) + 2.0 * (patient == two) + 1.0 * (asked.verb == told.verb)
    return {"text": tell(told, chance.choice(VOICES)), "text2": tell(asked, chance.choice(VOICES)), "label": score}


def answering(chance: random.Random) -> Row:
    """Who did it, or to whom was it done? The answer is one word, which stands in the context exactly once."""
    first, middle, last, _ = beings(chance, 4)
    verb = chance.choice(VERBS)
    facts = [Fact(first, verb, middle), Fact(middle, verb if chance.random() < 0.5 else chance.choice(VERBS), last)]
    if chance.random() < 0.5:
        question, answer, other = ask(facts[0], "agent", chance.choice(VOICES)), first, last
    else:
        question, answer, other = ask(facts[1], "patient"), last, first
    chance.shuffle(facts)
    context = " ".join(tell(fact, chance.choice(VOICES)) for fact in facts)
    answers, others = ({"text": [one.word], "answer_start": [context.index(one.word)]} for one in (answer, other))
    return {"question": question, "context": context, "answers": answers, "wrong_answers": others}


def wrong(row: Row, chance: random.Random) -> Row:
    """The row with a label that is not the right one."""
    if "answers" in row:
        return row | {"answers": row["wrong_answers"]}
    if isinstance(row["label"], float):
        return row | {"label": chance.choice([score for score in SCORES if score != row["label"]])}
    return row | {"label": 1 - row["label"]}


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskForm:
    """What all rows of a task have in common."""

    make: Callable[[random.Random], Row]
    kind: Literal["classification", "regression", "span"]
    metric: str
    label_names: tuple[str, ...] = ()


FORMS = {
    "acceptability": TaskForm(
        make=acceptability, kind="classification", metric="accuracy", label_names=("unacceptable", "acceptable")
    ),
    "sentiment": TaskForm(make=sentiment, kind="classification", metric="accuracy", label_names=("bad", "good")),
    "entailment": TaskForm(
        make=entailment, kind="classification", metric="accuracy", label_names=("not_entailed", "entailed")
    ),
    "similarity": TaskForm(make=similarity, kind="regression", metric="spearman"),
    "answering": TaskForm(make=answering, kind="span", metric="span_f1"),
}
