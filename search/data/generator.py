"""The built-in data: documents of an artificial language and labelled tasks about it, all from one seed. It knows
nothing of tokenizers, batches or models; the words are in language.py, what a task asks in generated_tasks.py.

A document has one topic and four beings, each with a number and a trait that never change in it. It tells a few facts
(who does what to whom) more than once, in both voices, and says what the beings are like. What the tasks ask about
(agreement, negated traits, roles across voices) therefore also helps to guess a masked piece.
"""

import random
from dataclasses import dataclass
from typing import Any, Literal

from search.data.generated_spec import GeneratorSpec
from search.data.generated_tasks import FORMS, Row, beings, clause, wrong
from search.data.language import (
    VERBS,
    Being,
    Fact,
    Role,
    Voice,
    ask,
    ask_whether,
    near,
    num_pieces,
    relative,
    tell,
    tell_of,
    vocabulary,
)

SPLITS = ("train", "validation", "test")
MAX_PIECES = 29
"""Longest row of a task in word pieces: with [CLS] and two [SEP]s it fits into 32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedTask:
    """One labelled task: rows of plain text, in the form in which a user's own task would be read."""

    kind: Literal["classification", "regression", "span"]
    metric: str
    label_names: tuple[str, ...]
    splits: dict[str, list[Row]]
    """By split: `text`, perhaps `text2`, `label`; or `question`, `context`, `answers` as in SQuAD."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Generated:
    """Everything that one spec stands for."""

    documents: list[list[str]]
    """Sentences of each document, in reading order."""
    tasks: dict[str, GeneratedTask]
    vocabulary: tuple[str, ...]
    """The language's own WordPiece list, in the order of the ids."""


def generate(spec: GeneratorSpec) -> Generated:
    """Make the documents and tasks that the spec names; equal specs give equal results in any process.

    Each part draws from a stream of its own, named after it: more documents change no task.

    >>> sizes = GeneratorSpec(num_documents=2, num_train=20, num_validation=4, num_test=4)
    >>> generate(sizes).tasks["sentiment"].splits["test"] == generate(sizes).tasks["sentiment"].splits["test"]
    True
    """
    tasks = {name: _task(name, spec) for name in FORMS}
    chance = random.Random(f"{spec.language_seed}/documents")
    documents = [_document(chance) for _ in range(spec.num_documents)]
    return Generated(documents=documents, tasks=tasks, vocabulary=vocabulary())


def _document(chance: random.Random) -> list[str]:
    """Three passages, each with two facts that share a being, and what the four beings are like."""
    members = beings(chance, 4)
    traits = {one: (chance.random() < 0.5, chance.randrange(6)) for one in members}
    sentences: list[str] = []
    for _ in range(3):
        facts = _facts(chance, members)
        for _ in range(2):
            chance.shuffle(facts)
            sentences += [_tell(chance, fact, members) for fact in facts]
            chance.shuffle(facts)
            sentences += [sentence for fact in facts for sentence in _discuss(chance, fact)]
        fact = facts[0]
        sentences.append(clause(chance, relative(fact), fact.agent.plural, *traits[fact.agent]) + ".")
        sentences += [_describe(chance, members, traits) for _ in range(3)]
    return sentences


def _facts(chance: random.Random, members: list[Being]) -> list[Fact]:
    """Two facts with different verbs in which one being takes part twice."""
    one, two, three = chance.sample(members, 3)
    first, second = chance.sample(VERBS, 2)
    agent, patient = chance.choice(((two, three), (three, two), (one, three), (two, one)))
    return [Fact(one, first, two), Fact(agent, second, patient)]


def _tell(chance: random.Random, fact: Fact, members: list[Being]) -> str:
    """Tell the fact in either voice, sometimes with another being between subject and verb."""
    voice: Voice = chance.choice(("active", "passive"))
    if chance.random() < 0.3:
        subject = fact.agent if voice == "active" else fact.patient
        others = [one for one in members if one not in (fact.agent, fact.patient)]
        return tell(fact, voice, near(subject, chance.choice(others)))
    return tell(fact, voice)


def _discuss(chance: random.Random, fact: Fact) -> list[str]:
    """What is said about a fact just told: one of its beings alone, or a question and its answer."""
    voice: Voice = chance.choice(("active", "passive"))
    role: Role = chance.choice(("agent", "patient"))
    kind = chance.random()
    if kind < 0.4:
        return [tell_of(fact, role)]
    if kind < 0.7:
        asked = chance.choice((fact, Fact(fact.patient, fact.verb, fact.agent)))
        return [ask_whether(asked, voice), "yes." if asked == fact else "no."]
    return [ask(fact, role, voice), (fact.agent if role == "agent" else fact.patient).word + "."]


def _describe(chance: random.Random, members: list[Being], traits: dict[Being, tuple[bool, int]]) -> str:
    """Say what one or two of the beings are like; "but" stands between good and bad."""
    first, second = chance.sample(members, 2)
    start = clause(chance, first.word, first.plural, *traits[first])
    if chance.random() < 0.5:
        return start + "."
    joint = "and" if traits[first][0] == traits[second][0] else "but"
    return f"{start} {joint} {clause(chance, second.word, second.plural, *traits[second])}."


def _task(name: str, spec: GeneratorSpec) -> GeneratedTask:
    """Rows that fit and are all different, cut into splits, each with the same share of wrong labels."""
    form = FORMS[name]
    chance = random.Random(f"{spec.language_seed}/{name}")
    sizes = (spec.num_train, spec.num_validation, spec.num_test)
    rows = iter(_distinct_rows(name, chance, sum(sizes)))
    splits = {split: [next(rows) for _ in range(size)] for split, size in zip(SPLITS, sizes, strict=True)}
    for members in splits.values():
        for index in chance.sample(range(len(members)), round(spec.label_noise * len(members))):
            members[index] = wrong(members[index], chance)
        for row in members:
            row.pop("wrong_answers", None)
    return GeneratedTask(kind=form.kind, metric=form.metric, label_names=form.label_names, splits=splits)


def _distinct_rows(name: str, chance: random.Random, count: int) -> list[Row]:
    """Rows of which no two have the same texts, rightly labelled.

    Raises:
        ValueError: the language has too few different rows of this task.
    """
    rows: dict[tuple[Any, ...], Row] = {}
    for _ in range(20 * count):
        row = FORMS[name].make(chance)
        texts = tuple(value for value in row.values() if isinstance(value, str))
        if sum(num_pieces(text) for text in texts) <= MAX_PIECES:
            rows.setdefault(texts, row)
        if len(rows) == count:
            return list(rows.values())
    raise ValueError(
        f"the generator has too few different rows for {name}: asked for {count}, found {len(rows)}; "
        "ask for smaller splits"
    )
