"""The verdict on each claim that study.json declares, from the records: differences, intervals, and what is missing.

The rule is in `reports/decision.py`. What this module adds:

- A block (a seed, or a measuring session) counts for a part where every arm of that part has a value; a run that
  diverged or failed loses its block and is counted as such with the claim.
- A run with trials or sessions still to come has no verdict: a test that is looked at while data arrive is another
  test.
- Where looks were declared, each is judged at the level over their number, with the seeds up to it; a claim keeps the
  verdict of the first look that gave it one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isclose
from statistics import fmean
from typing import NamedTuple

import numpy as np

from reports.blocks import Blocks, LostBlock, blocks_of
from reports.contrast import looks_of
from reports.decision import OUTCOMES, Family, Outcome, against, first_verdicts, judge_family, support
from reports.evidence import Evidence, evidence
from reports.forecast import more_to_settle
from reports.pareto import Interval
from reports.readable import plural
from reports.records import Record, Run
from reports.sign_flip import Array, sign_flip
from search.claim import LEVEL, Claim, Part
from search.values import from_json

MOST_TERMS = 6
"""A contrast of more arms is counted in words; listed, it would be longer than its row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    """One contrast of a claim, measured."""

    label: str
    """Such as `PKT - AKT`."""
    unit: str
    blocks: tuple[int, ...]
    """Seeds, or numbers of sessions, in the order of `differences`."""
    differences: tuple[float, ...]
    lost: tuple[LostBlock, ...]
    mean: float | None
    deviation: float | None
    """Standard deviation of the differences; None below two."""
    interval: Interval
    """Of the mean, at the level of the claim; None where the blocks are too few for a finite one."""
    p: float
    """For a verdict other than contradicted; 1 without a difference."""
    p_against: float
    """That this part alone contradicts the claim."""

    @property
    def num_blocks(self) -> int:
        """Blocks with a value in every arm."""
        return len(self.differences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the data say of one claim."""

    claim: Claim
    outcome: Outcome
    parts: tuple[PartResult, ...]
    deciding: int
    """The part that the verdict hangs on: the one that contradicts, else the weakest."""
    p: float
    """The smallest level at which the claim alone has a verdict."""
    p_holm: float
    """Adjusted over the study's claims; compared with 5 %, or with the level of the look."""
    level: float
    """What Holm granted the claim: 1 minus it is the level of its intervals."""
    look: int | None
    """The look, counted from 1, of which this is the verdict; None where none were declared or none is complete."""
    num_looks: int
    """0 where none were declared."""
    more: int | None
    """Of an inconclusive claim: about how many more blocks would settle it; None where `forecast` says why."""
    forecast: str

    @property
    def shown(self) -> PartResult:
        """The deciding part."""
        return self.parts[self.deciding]

    @property
    def num_blocks(self) -> int:
        """Of the part with the fewest."""
        return min(part.num_blocks for part in self.parts)

    @property
    def lost(self) -> tuple[LostBlock, ...]:
        """Blocks that some part lost, once each, in order."""
        return tuple(
            sorted({lost for part in self.parts for lost in part.lost}, key=lambda lost: (lost.block, lost.arm))
        )

    def _repr_html_(self) -> str:
        """In a notebook: the verdict in a sentence, then its numbers."""
        from reports.notebook import verdict_html

        return verdict_html(self)


def claims_of(study: Record) -> tuple[Claim, ...]:
    """The claims that study.json declares, in order.

    Raises:
        ValueError: one that is no claim.
    """
    listed = study.get("claims")
    return tuple(from_json(Claim, one, "study.json: claim") for one in (listed if isinstance(listed, list) else []))


def verdicts(run: Run) -> tuple[Verdict, ...]:
    """One verdict per declared claim, in declared order; none where none are declared.

    Raises:
        ValueError: study.json holds one that is no claim.
    """
    claims = claims_of(run.study)
    if not claims:
        return ()
    looks, done = looks_of(run.study)
    judged = [_judge(run, claims, seeds, len(looks)) for seeds in looks[: max(done, 1)] or [None]]
    latest = judged[-1].blocks
    chosen = first_verdicts([one.family for one in judged])[0].tolist()
    found = []
    for place, claim in enumerate(claims):
        look = len(judged) - 1 if latest.unfinished else chosen[place]
        number = look + 1 if looks and done else None
        found.append(_verdict(claim, judged[look], place, latest.unfinished, (number, len(looks))))
    return tuple(found)


class _Judged(NamedTuple):
    """All claims at one look."""

    blocks: Blocks
    measured: list[list[PartResult]]
    proofs: list[list[Evidence]]
    family: Family


def _judge(run: Run, claims: Sequence[Claim], seeds: int | None, num_looks: int) -> _Judged:
    """All claims with the first `seeds` seeds (None: all of them), at a share of the level."""
    blocks = blocks_of(run, seeds)
    measured = [[_measure(part, blocks, claim.blocks) for part in claim.parts] for claim in claims]
    proofs = [
        [evidence(np.array([part.differences]), claim.margin) for part in parts]
        for claim, parts in zip(claims, measured, strict=True)
    ]
    family = judge_family([claim.test for claim in claims], proofs, LEVEL / max(1, num_looks))
    return _Judged(blocks, measured, proofs, family)


def _measure(part: Part, blocks: Blocks, kind: str) -> PartResult:
    """The differences of one part, not yet tested."""
    found: dict[int, float] = {}
    lost: list[LostBlock] = []
    for block in blocks.numbers(kind):
        values = [blocks.value(kind, block, term) for term in part]
        gone = next((value for value in values if isinstance(value, LostBlock)), None)
        if gone is None:
            pairs = zip(part, values, strict=True)
            found[block] = sum(term.weight * value for term, value in pairs if not isinstance(value, LostBlock))
        else:
            lost.append(gone)
    differences = tuple(found.values())
    return PartResult(
        label=label_of(part),
        unit=blocks.unit(kind, part[0].metric),
        blocks=tuple(found),
        differences=differences,
        lost=tuple(lost),
        mean=fmean(differences) if differences else None,
        deviation=float(np.std(differences, ddof=1)) if len(differences) > 1 else None,
        interval=None,
        p=1.0,
        p_against=1.0,
    )


def label_of(part: Part) -> str:
    """The contrast in words: what counts for, then what counts against. One of many arms is counted, not listed; the
    study's record has it whole.

    >>> from search.claim import Term, beats, gains_more
    >>> label_of(beats("PKT", "AKT")), label_of(gains_more(("PD + FMT", "PD"), ("PD", "bare")))
    ('PKT - AKT', '(PD + FMT) + bare - 2 x PD')
    >>> label_of(tuple(Term(arm=arm, weight=0.25 if arm < "e" else -0.25) for arm in "abcdefgh"))
    'mean of 4 arms - mean of 4 others'
    """
    terms = sorted((term for term in part if term.weight), key=lambda term: term.weight < 0)
    text = ""
    if len(terms) > MOST_TERMS:
        text, terms = _counted([term.weight for term in terms]), []
    for term in terms:
        size = abs(term.weight)
        arm = f"({term.arm})" if " " in term.arm else term.arm
        name = arm if size == 1 else f"{size:g} x {arm}"
        sign = "- " if term.weight < 0 else "+ "
        text += f" {sign}{name}" if text else name
    metrics = dict.fromkeys(term.metric for term in part)
    return text if metrics == {"accuracy": None} else f"{text} ({', '.join(metrics)})"


def _counted(weights: list[float]) -> str:
    """A contrast of many arms, by how many count for and against and with what weight; positive weights first."""
    num_for = sum(weight > 0 for weight in weights)
    num_against = len(weights) - num_for
    sizes = {abs(weight) for weight in weights}
    if len(sizes) > 1 or num_for != num_against:
        return f"a weighted sum of {len(weights)} arms"
    scale = sizes.pop() * num_for
    factor = "" if isclose(scale, 1.0) else f"{scale:g} x "
    text = f"mean of {num_for} arms - mean of {num_against} others"
    return f"{factor}({text})" if factor else text


def _verdict(claim: Claim, judged: _Judged, place: int, unfinished: str, looks: tuple[int | None, int]) -> Verdict:
    family, proofs = judged.family, judged.proofs[place]
    level = float(family.level[0, place])
    parts = [_tested(claim, part, proof, level) for part, proof in zip(judged.measured[place], proofs, strict=True)]
    outcome = "inconclusive" if unfinished else OUTCOMES[int(family.outcome[0, place])]
    more, forecast = _forecast(claim, parts, level, unfinished) if outcome == "inconclusive" else (None, "")
    return Verdict(
        claim=claim,
        outcome=outcome,
        parts=tuple(parts),
        deciding=_deciding(outcome, parts, proofs),
        p=float(family.p[0, place]),
        p_holm=float(family.p_holm[0, place]),
        level=level,
        look=looks[0],
        num_looks=looks[1],
        more=more,
        forecast=forecast,
    )


def _tested(claim: Claim, part: PartResult, proof: Evidence, level: float) -> PartResult:
    if not part.differences:
        return part
    ends = sign_flip(np.array([part.differences]), level)
    low, high = float(ends.low[0]), float(ends.high[0])
    p, p_against = support(claim.test, proof, len(claim.parts)), against(claim.test, proof)
    interval = (low, high) if np.isfinite(low) else None
    return replace(part, interval=interval, p=float(p[0]), p_against=float(p_against[0]))


def _deciding(outcome: Outcome, parts: list[PartResult], proofs: list[Evidence]) -> int:
    """The part that contradicts; of an equivalent claim the one nearest zero; else the one least supported."""
    if outcome == "contradicted":
        return min(range(len(parts)), key=lambda place: parts[place].p_against)
    if outcome == "equivalent":
        return min(range(len(parts)), key=lambda place: float(proofs[place].inside[0]))
    return max(range(len(parts)), key=lambda place: parts[place].p)


def _forecast(claim: Claim, parts: list[PartResult], level: float, unfinished: str) -> tuple[int | None, str]:
    if unfinished:
        return None, f"no verdict before the run is finished: {unfinished}"
    noun = "seed" if claim.blocks == "seeds" else "session"
    joint = _joint(parts)
    if joint.shape[1] == 0:
        return None, f"no forecast without a {noun} that every part has"
    if joint.shape[1] == 1:
        return None, f"no forecast from one {noun}"
    more = more_to_settle(claim.test, claim.margin, joint, level)
    if more is None:
        return None, f"more than 64 more {noun}s"
    return more, f"about {plural(more, f'more {noun}')}"


def _joint(parts: list[PartResult]) -> Array:
    """[parts, blocks]: the differences in the blocks that no part lost."""
    shared = [block for block in parts[0].blocks if all(block in part.blocks for part in parts)]
    rows = [[part.differences[part.blocks.index(block)] for block in shared] for part in parts]
    return np.array(rows, dtype=np.float64).reshape(len(parts), len(shared))
