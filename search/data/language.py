"""The artificial English-like language: its words, and how a phrase or a sentence is put together. It knows nothing of
documents, tasks or chance: the same arguments give the same sentence.

It has no articles. Number and voice are suffixes ("baker" + "s", "help" + "s", "help" + "ed"), so that a WordPiece
tokenizer whose list is `vocabulary()` sees few pieces, each of them often.
"""

from dataclasses import dataclass
from typing import Literal

PEOPLE: dict[str, tuple[str, ...]] = {
    "kitchen": ("baker", "waiter", "butcher", "cook"),
    "sea": ("sailor", "captain", "diver", "pirate"),
    "court": ("judge", "lawyer", "guard", "robber"),
    "hospital": ("doctor", "nurse", "surgeon", "porter"),
    "stage": ("singer", "dancer", "actor", "poet"),
    "farm": ("farmer", "shepherd", "hunter", "groom"),
}
ANIMALS: dict[str, tuple[str, ...]] = {
    "kitchen": ("cat", "duck", "hen"),
    "sea": ("crab", "seal", "whale"),
    "court": ("dog", "hawk", "crow"),
    "hospital": ("frog", "rabbit", "turtle"),
    "stage": ("bear", "monkey", "parrot"),
    "farm": ("cow", "goat", "donkey"),
}
"""Each topic's nouns: regular in the plural, in one topic only, none of them part of another word. One says "who" of
people and "which" of animals: a class that no suffix shows."""

TOPICS = {topic: PEOPLE[topic] + ANIMALS[topic] for topic in PEOPLE}

VERBS = ("help", "thank", "follow", "warn", "visit", "call", "trust", "greet", "join", "attack", "avoid", "reward")
"""Transitive verbs, regular: stem + "s", stem + "ed"."""

GOOD = ("kind", "clever", "honest", "brave", "gentle", "polite")
BAD = ("cruel", "silly", "false", "timid", "harsh", "rude")
"""Traits: each good one beside its contrary."""

FUNCTION_WORDS = ("is", "are", "not", "by", "who", "which", "near", "but", "and", "do", "does", "yes", "no", ".", "?")
SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SUFFIXES = ("##s", "##ed")

Voice = Literal["active", "passive"]
Role = Literal["agent", "patient"]


@dataclass(frozen=True, slots=True)
class Being:
    """A noun with its number: "baker" or "bakers"."""

    noun: str
    plural: bool

    @property
    def word(self) -> str:
        return self.noun + "s" if self.plural else self.noun

    @property
    def animal(self) -> bool:
        return self.noun in _ANIMAL_NOUNS


@dataclass(frozen=True, slots=True)
class Fact:
    """Who does what to whom."""

    agent: Being
    verb: str
    patient: Being


def vocabulary() -> tuple[str, ...]:
    """The language's whole WordPiece list, special pieces first.

    >>> vocabulary()[:3], len(vocabulary())
    (('[PAD]', '[UNK]', '[CLS]'), 88)
    """
    nouns = tuple(noun for members in TOPICS.values() for noun in members)
    return SPECIAL_PIECES + FUNCTION_WORDS + SUFFIXES + VERBS + GOOD + BAD + nouns


_ANIMAL_NOUNS = frozenset(noun for members in ANIMALS.values() for noun in members)
_WHOLE_WORDS = frozenset(vocabulary())


def num_pieces(text: str) -> int:
    """Number of word pieces of a text of this language, special pieces not counted.

    >>> num_pieces("bakers are helped by cook.")
    8
    """
    words = text.replace(".", " .").replace("?", " ?").split()
    return sum(1 if word in _WHOLE_WORDS else 2 for word in words)


def be(plural: bool) -> str:
    """The auxiliary, agreeing with a subject of this number."""
    return "are" if plural else "is"


def present(verb: str, plural: bool) -> str:
    """The verb in the present tense, agreeing with a subject of this number."""
    return verb if plural else verb + "s"


def pronoun(animal: bool) -> str:
    """The relative or interrogative pronoun of the class."""
    return "which" if animal else "who"


def near(being: Being, *others: Being) -> str:
    """A noun phrase with further beings in it, with none of which the verb agrees.

    >>> near(Being("baker", False), Being("cook", True))
    'baker near cooks'
    """
    return " near ".join(one.word for one in (being, *others))


def tell(fact: Fact, voice: Voice, subject: str | None = None) -> str:
    """The fact in a sentence; `subject` replaces the plain word of the one that stands before the verb.

    >>> fact = Fact(Being("baker", False), "help", Being("cook", True))
    >>> tell(fact, "active"), tell(fact, "passive", "cooks near hens")
    ('baker helps cooks.', 'cooks near hens are helped by baker.')
    """
    if voice == "active":
        return f"{subject or fact.agent.word} {present(fact.verb, fact.agent.plural)} {fact.patient.word}."
    return f"{subject or fact.patient.word} {be(fact.patient.plural)} {fact.verb}ed by {fact.agent.word}."


def tell_of(fact: Fact, role: Role) -> str:
    """The fact told of one of its two beings only.

    >>> fact = Fact(Being("baker", False), "help", Being("cook", True))
    >>> tell_of(fact, "agent"), tell_of(fact, "patient")
    ('baker helps.', 'cooks are helped.')
    """
    if role == "agent":
        return f"{fact.agent.word} {present(fact.verb, fact.agent.plural)}."
    return f"{fact.patient.word} {be(fact.patient.plural)} {fact.verb}ed."


def ask(fact: Fact, role: Role, voice: Voice = "active") -> str:
    """The question whose answer plays the role; the question itself tells its class and never its number.

    >>> fact = Fact(Being("baker", False), "help", Being("cow", True))
    >>> ask(fact, "agent"), ask(fact, "agent", "passive"), ask(fact, "patient")
    ('who helps cows?', 'by who are cows helped?', 'which is helped by baker?')
    """
    if role == "patient":
        return f"{pronoun(fact.patient.animal)} is {fact.verb}ed by {fact.agent.word}?"
    if voice == "active":
        return f"{pronoun(fact.agent.animal)} {fact.verb}s {fact.patient.word}?"
    return f"by {pronoun(fact.agent.animal)} {be(fact.patient.plural)} {fact.patient.word} {fact.verb}ed?"


def ask_whether(fact: Fact, voice: Voice) -> str:
    """The question to be answered by yes or no.

    >>> ask_whether(Fact(Being("baker", False), "help", Being("cook", True)), "active")
    'does baker help cooks?'
    """
    if voice == "active":
        return f"{'do' if fact.agent.plural else 'does'} {fact.agent.word} {fact.verb} {fact.patient.word}?"
    return f"{be(fact.patient.plural)} {fact.patient.word} {fact.verb}ed by {fact.agent.word}?"


def opinion(subject: str, plural: bool, trait: str, negations: tuple[bool, bool]) -> str:
    """A clause without its full stop; its two negations ("no" before the subject, "not" before the trait) cancel out.

    >>> opinion("baker", False, "kind", (True, True))
    'no baker is not kind'
    """
    outer, inner = negations
    return f"{'no ' if outer else ''}{subject} {be(plural)} {'not ' if inner else ''}{trait}"


def relative(fact: Fact) -> str:
    """The agent with a clause that tells the fact.

    >>> relative(Fact(Being("crab", False), "help", Being("cook", True)))
    'crab which helps cooks'
    """
    agent = fact.agent
    return f"{agent.word} {pronoun(agent.animal)} {present(fact.verb, agent.plural)} {fact.patient.word}"
