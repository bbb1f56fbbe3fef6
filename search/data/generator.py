"""The built-in data: documents of an artificial language and labelled tasks about it, all from one seed. It knows
nothing of tokenizers, batches or models; the language itself is in language.py.

A document has one topic and four people, each with a number and a character that never change in it. It tells a few
facts (who does what to whom) more than once, in both voices, and says of the people what they are like. What a task
asks about (agreement, negated sentiment, roles across voices) therefore also helps to guess a masked piece.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from search.data.generated_spec import GeneratorSpec
from search.data.language import (
    BAD,
    EPITHETS,
    GOOD,
    TOPICS,
    VERBS,
    Fact,
    Person,
    active,
    ask_agent,
    ask_patient,
    ask_whether,
    be,
    near,
    num_pieces,
    opinion,
    passive,
    present,
    short,
    vocabulary,
    who,
)

Row = dict[str, Any]
SPLITS = ("train", "validation", "test")
MAX_PIECES = 29
"""Longest example in word pieces, [CLS] and the [SEP]s not counted: with them it fits into 32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedTask:
    """One labelled task: rows of plain text, in the form in which a user's own task would be read."""

    kind: Literal["classification", "regression", "span"]
    metric: str
    label_names: tuple[str, ...]
    splits: dict[str, list[Row]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Generated:
    documents: list[list[str]]
    """Sentences of each document, in reading order."""
    tasks: dict[str, GeneratedTask]
    vocabulary: tuple[str, ...]
    """The language's own WordPiece list."""


def generate(spec: GeneratorSpec) -> Generated:
    """Make the documents and tasks that the spec names; equal specs give equal results in any process."""
    tasks = {name: _task(name, spec) for name in TASKS}
    chance = random.Random(f"{spec.language_seed}/documents")
    documents = [_document(chance) for _ in range(spec.num_documents)]
    return Generated(documents=documents, tasks=tasks, vocabulary=vocabulary())


# Documents


def _people(chance: random.Random, count: int) -> list[Person]:
    """Different people of one topic."""
    nouns = chance.sample(TOPICS[chance.choice(tuple(TOPICS))], count)
    return [Person(noun, chance.random() < 0.5) for noun in nouns]


def _clause(chance: random.Random, subject: str, plural: bool, good: bool, trait: int | None = None) -> str:
    """Say that the subject is good (or bad), plainly or by negating the contrary."""
    negated = chance.random() < 0.5
    trait = chance.randrange(len(GOOD)) if trait is None else trait
    return opinion(subject, plural, (GOOD if good != negated else BAD)[trait], negated)


def _describe(chance, people, goods):
    first, second = chance.sample(people, 2)
    clause = _clause(chance, _said(chance, first).phrase, first.plural, *goods[first])
    if chance.random() < 0.5:
        return clause + "."
    joint = "and" if goods[first][0] == goods[second][0] else "but"
    return f"{clause} {joint} {_clause(chance, _said(chance, second).phrase, second.plural, *goods[second])}."


def _tell(chance: random.Random, fact: Fact, people: list[Person]) -> str:
    others = [one for one in people if one not in (fact.agent, fact.patient)]
    fact = Fact(_said(chance, fact.agent), fact.verb, _said(chance, fact.patient))
    voice, subject = chance.choice(((active, fact.agent), (passive, fact.patient)))
    if chance.random() < 0.2:
        return voice(fact, near(subject, chance.choice(others)))
    return voice(fact)


def _said(chance, one):
    return replace(one, epithet="") if chance.random() < 0.3 else one


def _document(chance: random.Random) -> list[str]:
    people = [replace(one, epithet=epithet) for one, epithet in zip(_people(chance, 4), chance.sample(EPITHETS, 4))]
    goods = {one: (chance.random() < 0.5, chance.randrange(len(GOOD))) for one in people}
    sentences: list[str] = []
    for _ in range(3):
        one, two, three = chance.sample(people, 3)
        first, second = chance.sample(VERBS, 2)
        facts = chance.choice(
            (
                [Fact(one, first, two), Fact(two, second, three)],
                [Fact(one, first, two), Fact(three, second, two)],
                [Fact(one, first, two), Fact(one, second, three)],
                [Fact(one, first, two), Fact(two, second, one)],
            )
        )
        for _ in range(2):
            chance.shuffle(facts)
            sentences += [_tell(chance, fact, people) for fact in facts]
            chance.shuffle(facts)
            for fact in facts:
                sentences += _discuss(chance, fact)
        if chance.random() < 0.3:
            fact = facts[0]
            sentences.append(_clause(chance, who(fact), fact.agent.plural, *goods[fact.agent]) + ".")
        for _ in range(3):
            sentences.append(_describe(chance, people, goods))
    return sentences


def _discuss(chance: random.Random, fact: Fact) -> list[str]:
    """What is said about a fact just told; none of it can be guessed without knowing who did it to whom."""
    kind = chance.random()
    voice = chance.choice(("active", "passive"))
    fact = Fact(_said(chance, fact.agent), fact.verb, _said(chance, fact.patient))
    if kind < 0.3:
        return [short(fact, role) for role in chance.sample(("agent", "patient"), 1)]
    if kind < 0.45:
        return [f"who {fact.verb}s?", fact.agent.phrase + "."]
    if kind < 0.6:
        return [f"who is {fact.verb}ed?", fact.patient.phrase + "."]
    if kind < 0.8:
        asked = chance.choice((fact, Fact(fact.patient, fact.verb, fact.agent)))
        return [ask_whether(asked, voice), "yes." if asked == fact else "no."]
    if kind < 0.9:
        return [ask_agent(fact, voice), fact.agent.phrase + "."]
    return [ask_patient(fact), fact.patient.phrase + "."]


# Tasks: each function makes one row, right as to its label; noise comes later


def _acceptability(chance: random.Random) -> Row:
    """Does every verb agree with its own subject, whoever stands between them?"""
    one, two, three, four = _people(chance, 4)
    fine = chance.random() < 0.5
    plural = one.plural == fine
    verb = chance.choice(VERBS)
    kind = chance.random()
    if kind < 0.2:
        text = f"{one.phrase} {present(verb, plural)} {two.phrase}."
    elif kind < 0.45:
        text = f"{near(one, two)} {present(verb, plural)} {three.phrase}."
    elif kind < 0.6:
        text = f"{near(one, two)} {be(plural)} {verb}ed by {three.phrase}."
    elif kind < 0.75:
        text = f"{near(one, two, three)} {present(verb, plural)} {four.phrase}."
    else:
        inner = chance.random() < 0.5
        relative = f"who {present(chance.choice(VERBS), plural if inner else one.plural)} {two.phrase}"
        text = f"{one.phrase} {relative} {present(verb, one.plural if inner else plural)} {three.phrase}."
    return {"text": text, "label": int(fine)}


def _sentiment(chance: random.Random) -> Row:
    """Is what the sentence says last good? A "but" turns it, a "not" turns it."""
    one, two, three, _ = _people(chance, 4)
    good = chance.random() < 0.5
    kind = chance.random()
    if kind < 0.3:
        text = _clause(chance, near(one, two) if chance.random() < 0.5 else one.phrase, one.plural, good)
    elif kind < 0.5:
        text = _clause(chance, who(Fact(one, chance.choice(VERBS), two)), one.plural, good)
    else:
        joint, first = ("but", not good) if kind < 0.8 else ("and", good)
        start = _clause(chance, one.phrase, one.plural, first)
        text = f"{start} {joint} {_clause(chance, two.phrase, two.plural, good)}"
    return {"text": text + ".", "label": int(good)}


def _entailment(chance: random.Random) -> Row:
    """Does the second sentence follow from the first: the same people in the same roles, whatever the voice?"""
    one, two, three, _ = _people(chance, 4)
    told = asked = Fact(one, chance.choice(VERBS), two)
    entailed = chance.random() < 0.5
    if not entailed:
        kind = chance.random()
        if kind < 0.7:
            asked = Fact(two, told.verb, one)
        elif kind < 0.85:
            asked = Fact(one, chance.choice([verb for verb in VERBS if verb != told.verb]), two)
        else:
            asked = chance.choice((Fact(three, told.verb, two), Fact(one, told.verb, three)))
    text, text2 = (chance.choice((active, passive))(fact) for fact in (told, asked))
    return {"text": text, "text2": text2, "label": int(entailed)}


def _similarity(chance: random.Random) -> Row:
    """From 0 to 5: two for each role played by the same person, one for the same verb."""
    one, two, three, four = _people(chance, 4)
    told = Fact(one, chance.choice(VERBS), two)
    agent, patient = chance.choice(((one, two), (two, one), (one, three), (three, two), (two, three), (three, one)))
    verb = told.verb if chance.random() < 0.5 else chance.choice([verb for verb in VERBS if verb != told.verb])
    score = 2.0 * (agent == one) + 2.0 * (patient == two) + 1.0 * (verb == told.verb)
    text, text2 = (chance.choice((active, passive))(fact) for fact in (told, Fact(agent, verb, patient)))
    return {"text": text, "text2": text2, "label": score}


def _answering(chance: random.Random) -> Row:
    """Who did it, or to whom was it done? The answer is one word that stands in the context exactly once."""
    first, middle, last, _ = _people(chance, 4)
    verb = chance.choice(VERBS)
    other = verb if chance.random() < 0.5 else chance.choice(VERBS)
    facts = [Fact(first, verb, middle), Fact(middle, other, last)]
    if chance.random() < 0.5:
        question, answer, wrong = ask_agent(facts[0], chance.choice(("active", "passive"))), first, last
    else:
        question, answer, wrong = ask_patient(facts[1]), last, first
    chance.shuffle(facts)
    context = " ".join(chance.choice((active, passive))(fact) for fact in facts)
    return {"question": question, "context": context, "answers": _answers(context, answer), "wrong": wrong}


def _answers(context: str, person: Person) -> Row:
    return {"text": [person.word], "answer_start": [context.index(person.word)]}


# Noise and splits


def _wrong(row: Row, chance: random.Random) -> Row:
    """The row with a label that is not the right one."""
    if "answers" in row:
        return row | {"answers": _answers(row["context"], row["wrong"])}
    if isinstance(row["label"], float):
        return row | {
            "label": chance.choice([score for score in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0) if score != row["label"]])
        }
    return row | {"label": 1 - row["label"]}


@dataclass(frozen=True, kw_only=True, slots=True)
class _TaskForm:
    make: Callable[[random.Random], Row]
    kind: Literal["classification", "regression", "span"]
    metric: str
    label_names: tuple[str, ...] = ()


TASKS = {
    "acceptability": _TaskForm(
        make=_acceptability, kind="classification", metric="accuracy", label_names=("unacceptable", "acceptable")
    ),
    "sentiment": _TaskForm(make=_sentiment, kind="classification", metric="accuracy", label_names=("bad", "good")),
    "entailment": _TaskForm(
        make=_entailment, kind="classification", metric="accuracy", label_names=("not_entailed", "entailed")
    ),
    "similarity": _TaskForm(make=_similarity, kind="regression", metric="spearman"),
    "answering": _TaskForm(make=_answering, kind="span", metric="span_f1"),
}


def _task(name: str, spec: GeneratorSpec) -> GeneratedTask:
    """Rows that fit and are all different, cut into splits, each with the same share of wrong labels."""
    form = TASKS[name]
    chance = random.Random(f"{spec.language_seed}/{name}")
    sizes = (spec.num_train, spec.num_validation, spec.num_test)
    rows: dict[tuple[str, ...], Row] = {}
    while len(rows) < sum(sizes):
        row = form.make(chance)
        texts = tuple(value for value in row.values() if isinstance(value, str))
        if sum(num_pieces(text) for text in texts) <= MAX_PIECES:
            rows.setdefault(texts, row)
    left = iter(rows.values())
    splits = {split: [next(left) for _ in range(size)] for split, size in zip(SPLITS, sizes, strict=True)}
    for members in splits.values():
        for index in chance.sample(range(len(members)), round(spec.label_noise * len(members))):
            members[index] = _wrong(members[index], chance)
        for row in members:
            row.pop("wrong", None)
    return GeneratedTask(kind=form.kind, metric=form.metric, label_names=form.label_names, splits=splits)
