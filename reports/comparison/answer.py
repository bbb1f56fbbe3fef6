"""All that `thinbert compare` answers, as one value. Imports nothing heavy where no item is of a run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reports.compare import Comparison, Item, comparison_of
from reports.comparison.subjects import Group, Subject, printable, read_groups

if TYPE_CHECKING:
    from reports.comparison.choice import Choice
    from reports.comparison.pairs import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Items side by side, each pair of them judged, and what to take."""

    subjects: tuple[Subject, ...]
    comparison: Comparison
    """Of those that are encoders."""
    pairs: "tuple[Pair, ...]"
    """Every item against the first one, of several ablations every arm against the first one's of that name; none where
    no item is of a run."""
    unmatched: tuple[str, ...]
    """Arms that have no counterpart."""
    choice: "Choice | None"
    """None where no item is of a run and no cap was asked for."""
    sentences: tuple[str, ...]
    """One per pair."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Files of the runs that could not be used, one line each."""
        sources = {one.source.folder: one.source for one in self.subjects if one.source}
        return tuple(
            printable(f"{folder.name}: {problem}")
            for folder, source in sources.items()
            for problem in source.run.problems
        )


def answer(names: Sequence[str], *, length: int = 128, cap_ms: float | None = None) -> Answer:
    """Compare what the names stand for, the first one being what the others are held against.

    Args:
        names: as `subjects.py` says. Ablations stand beside ablations, matched arm by arm; one alone is its own arms,
            held against its first.
        length: tokens of the sequence for which FLOPs are counted.
        cap_ms: of latency, for the choice.

    Raises:
        ValueError: as `read_groups`; an ablation beside something else; ablations without an arm in common.
    """
    groups = _shortened(read_groups(names))
    subjects = tuple(subject for group in groups for subject in group.subjects)
    matched, unmatched = _matched(groups)
    comparison = comparison_of(subjects, length)
    if cap_ms is None and not any(subject.source for subject in subjects):
        sentences = tuple(_size_sentence(item, comparison.items[0]) for item in comparison.items[1:])
        return Answer(
            subjects=subjects, comparison=comparison, pairs=(), unmatched=(), choice=None, sentences=sentences
        )
    from reports.comparison.choice import choose
    from reports.comparison.pairs import make_pairs
    from reports.comparison.text import sentence

    pairs = make_pairs(matched)
    return Answer(
        subjects=subjects,
        comparison=comparison,
        pairs=pairs,
        unmatched=tuple(unmatched),
        choice=choose(subjects, cap_ms, pairs),
        sentences=tuple(sentence(pair) for pair in pairs),
    )


def _shortened(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """Items that are all arms of one run by the arm's name alone; no two of them are alike."""
    every = [subject for group in groups for subject in group.subjects]
    folders = {subject.source.folder if subject.source and subject.arm else None for subject in every}
    if len(folders) > 1 or None in folders or len({subject.arm for subject in every}) < len(every):
        return groups
    return tuple(
        replace(group, subjects=tuple(replace(one, name=one.arm) for one in group.subjects)) for group in groups
    )


def _matched(groups: Sequence[Group]) -> tuple[list[tuple[Subject, Subject]], list[str]]:
    """Each item with what it is held against, and the arms without counterpart."""
    ablations = [group for group in groups if group.is_ablation]
    if not ablations or len(groups) == 1:
        first, *others = [subject for group in groups for subject in group.subjects]
        return [(other, first) for other in others], []
    if len(ablations) < len(groups):
        arms = ", ".join(subject.arm for subject in ablations[0].subjects)
        other = next(group for group in groups if not group.is_ablation)
        raise ValueError(
            f"an ablation stands beside ablations, got {ablations[0].name} beside {other.name}; name RUN:ARM, its arms "
            f"are {arms}"
        )
    base = {subject.arm: subject for subject in groups[0].subjects}
    later = [subject for group in groups[1:] for subject in group.subjects]
    matched = [(subject, base[subject.arm]) for subject in later if subject.arm in base]
    if not matched:
        listed = "; ".join(f"{group.name} has {', '.join(one.arm for one in group.subjects)}" for group in groups)
        raise ValueError(f"ablations are compared arm by arm, got none that two of them share ({listed}); name RUN:ARM")
    used = {subject.name for pair in matched for subject in pair}
    return matched, [subject.name for group in groups for subject in group.subjects if subject.name not in used]


def _size_sentence(item: Item, first: Item) -> str:
    parameters, flops = item.parameters / first.parameters, item.flops / first.flops
    return (
        f"{item.name} has {parameters:.3g} x the parameters and {flops:.3g} x the FLOPs of {first.name}; neither was "
        "trained or measured here, so nothing is said of accuracy or time."
    )
