"""The artificial English-like language: its words, and how a phrase or a sentence is put together. It knows nothing of
documents, tasks or chance: the same arguments give the same sentence.

Number and voice are suffixes ("baker" + "s", "help" + "s", "help" + "ed"), so that a WordPiece tokenizer whose list is
`vocabulary()` sees few pieces, each of them often.
"""

from dataclasses import dataclass

TOPICS: dict[str, tuple[str, ...]] = {
    "kitchen": ("baker", "waiter", "butcher", "brewer", "miller", "cook"),
    "sea": ("sailor", "captain", "diver", "fisher", "pirate", "rower"),
    "court": ("judge", "lawyer", "clerk", "guard", "jailer", "robber"),
    "hospital": ("doctor", "nurse", "medic", "surgeon", "healer", "porter"),
    "stage": ("singer", "dancer", "actor", "drummer", "poet", "juggler"),
    "farm": ("farmer", "shepherd", "gardener", "hunter", "rider", "groom"),
}
"""Each topic's nouns; all of them are people, regular in the plural, and in one topic only."""

VERBS = ("help", "thank", "follow", "warn", "visit", "call", "trust", "greet", "join", "attack", "avoid", "reward")
"""Transitive verbs, regular: stem + "s", stem + "ed"."""

GOOD = ("kind", "clever", "honest", "brave", "gentle", "polite")
BAD = ("cruel", "silly", "false", "timid", "harsh", "rude")

EPITHETS = ("old", "young", "tall", "short", "rich", "poor", "busy", "tired", "strong", "quiet", "famous", "strange")

FUNCTION_WORDS = ("the", "is", "are", "not", "by", "who", "near", "but", "and", "do", "does", "yes", "no", ".", "?")
SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SUFFIXES = ("##s", "##ed")


@dataclass(frozen=True, slots=True)
class Person:
    """A noun with its number: "the baker" or "the bakers"."""

    noun: str
    plural: bool
    epithet: str = ""

    @property
    def word(self) -> str:
        return self.noun + "s" if self.plural else self.noun

    @property
    def phrase(self) -> str:
        return f"{self.epithet} {self.word}" if self.epithet else self.word


@dataclass(frozen=True, slots=True)
class Fact:
    """Who does what to whom."""

    agent: Person
    verb: str
    patient: Person


def vocabulary() -> tuple[str, ...]:
    """The language's whole WordPiece list, special pieces first.

    >>> vocabulary()[:3], len(vocabulary()) < 150
    (('[PAD]', '[UNK]', '[CLS]'), True)
    """
    nouns = tuple(noun for people in TOPICS.values() for noun in people)
    return SPECIAL_PIECES + FUNCTION_WORDS + SUFFIXES + VERBS + GOOD + BAD + EPITHETS + nouns


def num_pieces(text: str) -> int:
    """Number of word pieces of a text of this language, special pieces not counted.

    >>> num_pieces("the bakers are helped by the cook.")
    10
    """
    words = text.replace(".", " .").replace("?", " ?").split()
    whole = _WHOLE_WORDS
    return sum(1 if word in whole else 2 for word in words)


_WHOLE_WORDS = frozenset(vocabulary())


def be(plural: bool) -> str:
    return "are" if plural else "is"


def present(verb: str, plural: bool) -> str:
    """The verb in the present tense, agreeing with a subject of this number."""
    return verb if plural else verb + "s"


def near(person: Person, *others: Person) -> str:
    """A noun phrase with further people in it, none of which the verb agrees with.

    >>> near(Person("baker", False), Person("cook", True))
    'the baker near the cooks'
    """
    return " near ".join(one.phrase for one in (person, *others))


def active(fact: Fact, subject: str | None = None) -> str:
    """
    >>> active(Fact(Person("baker", False), "help", Person("cook", True)))
    'the baker helps the cooks.'
    """
    verb = present(fact.verb, fact.agent.plural)
    return f"{subject or fact.agent.phrase} {verb} {fact.patient.phrase}."


def passive(fact: Fact, subject: str | None = None) -> str:
    """
    >>> passive(Fact(Person("baker", False), "help", Person("cook", True)))
    'the cooks are helped by the baker.'
    """
    return f"{subject or fact.patient.phrase} {be(fact.patient.plural)} {fact.verb}ed by {fact.agent.phrase}."


def ask_agent(fact: Fact, voice: str) -> str:
    """The question whose answer is the agent; the voice is the question's own.

    >>> ask_agent(Fact(Person("baker", False), "help", Person("cook", True)), "passive")
    'by who are the cooks helped?'
    """
    if voice == "active":
        return f"who {fact.verb}s {fact.patient.phrase}?"
    return f"by who {be(fact.patient.plural)} {fact.patient.phrase} {fact.verb}ed?"


def ask_patient(fact: Fact) -> str:
    """The question whose answer is the patient.

    >>> ask_patient(Fact(Person("baker", False), "help", Person("cook", True)))
    'who is helped by the baker?'
    """
    return f"who is {fact.verb}ed by {fact.agent.phrase}?"


def opinion(subject: str, plural: bool, adjective: str, negated: bool) -> str:
    """A clause without its full stop.

    >>> opinion("the baker", False, "kind", True)
    'the baker is not kind'
    """
    return f"{subject} {be(plural)} {'not ' if negated else ''}{adjective}"


def who(fact: Fact) -> str:
    """The agent with a relative clause.

    >>> who(Fact(Person("baker", False), "help", Person("cook", True)))
    'the baker who helps the cooks'
    """
    return f"{fact.agent.phrase} who {present(fact.verb, fact.agent.plural)} {fact.patient.phrase}"


def short(fact: Fact, role: str) -> str:
    """The fact told of one of its two people only.

    >>> fact = Fact(Person("baker", False), "help", Person("cook", True))
    >>> short(fact, "agent"), short(fact, "patient")
    ('the baker helps.', 'the cooks are helped.')
    """
    if role == "agent":
        return f"{fact.agent.phrase} {present(fact.verb, fact.agent.plural)}."
    return f"{fact.patient.phrase} {be(fact.patient.plural)} {fact.verb}ed."


def ask_whether(fact: Fact, voice: str) -> str:
    """The question to be answered by yes or no.

    >>> ask_whether(Fact(Person("baker", False), "help", Person("cook", True)), "passive")
    'are the cooks helped by the baker?'
    """
    if voice == "active":
        return f"{'do' if fact.agent.plural else 'does'} {fact.agent.phrase} {fact.verb} {fact.patient.phrase}?"
    return f"{be(fact.patient.plural)} {fact.patient.phrase} {fact.verb}ed by {fact.agent.phrase}?"
