"""What the verdicts say in sentences with names escaped, and the rule behind them in plain words."""

from collections.abc import Sequence

from markupsafe import Markup

from reports.claim_tables import effect_text, interval_text, level_text, lost_text, num_lost
from reports.readable import in_points, plural
from reports.verdict import Verdict
from search.claim import LEVEL

BEGINNINGS = {
    "reproduced": "Reproduced",
    "contradicted": "Contradicted",
    "equivalent": "No difference that matters",
    "inconclusive": "Not decided",
}


def claim_sentences(verdicts: Sequence[Verdict]) -> list[Markup]:
    """One sentence per claim: verdict, claim, evidence, and what is missing."""
    return [_sentence(verdict) for verdict in verdicts]


def _sentence(verdict: Verdict) -> Markup:
    claim, part = verdict.claim, verdict.shown
    said = claim.says.rstrip(".")
    text = Markup("<strong>{}</strong>: {} ({}). {}").format(
        BEGINNINGS[verdict.outcome], said[:1].upper() + said[1:], claim.source, _evidence(verdict)
    )
    if verdict.outcome == "equivalent":
        size = in_points(claim.margin) if part.unit == "points" else f"{claim.margin:g} {part.unit}"
        text += Markup(" Less than {} does not matter here.").format(size)
    if verdict.lost:
        lost = plural(num_lost(verdict.lost), "pair")
        text += Markup(" {} lost: {}.").format(lost, lost_text(verdict))
    if verdict.forecast:
        text += Markup(" {}.").format(verdict.forecast[:1].upper() + verdict.forecast[1:])
    return text


def _evidence(verdict: Verdict) -> str:
    part, noun = verdict.shown, verdict.claim.blocks.removesuffix("s")
    if part.mean is None:
        return f"No {noun} has a value in every arm."
    level = level_text(verdict.level)
    interval = f"no finite {level} interval" if part.interval is None else f"{level} interval {interval_text(part)}"
    found = f"{part.label}: {effect_text(part)} {part.unit}, {interval}, {plural(part.num_blocks, noun)}."
    if verdict.outcome == "inconclusive" and part.p_against <= verdict.level:
        # Its interval says so already, and a reader would wonder.
        found += f" Alone it would contradict the claim; it is one of {len(verdict.parts)} parts that were tried."
    return found


def methods(verdicts: Sequence[Verdict]) -> list[str]:
    """The rule of the verdicts, as `reports/decision.py` and `reports/verdict.py` have it."""
    num_looks = max((verdict.num_looks for verdict in verdicts), default=0)
    share = f"{100 * LEVEL:g} %" + (f" over {num_looks} looks" if num_looks else "")
    found = [
        "Claims, margins, tests and seeds were declared before the run. Differences are taken inside a seed (inside a "
        "measuring session where latency is claimed); a run that diverged or failed loses its pair, which is counted.",
        "An interval holds every mean that the exact sign-flip test of the differences does not reject. A claim that "
        "something is greater is reproduced where every part's interval is above zero, equivalent where every part's "
        "is above zero or within the margin and one is within it, contradicted where else some part's is below zero.",
        "A claim of equivalence is reproduced where every part's interval is within the margin (two one-sided tests at "
        "half the level each), contradicted where some part's is beyond it. A claim that something is not less is "
        "reproduced above minus the margin, contradicted below it. Everything else is inconclusive.",
        "What every part must show has the largest p of the parts; what any part may show is tried once a part, so its "
        "p is the smallest times their number. p is the smallest level at which a claim has a verdict.",
        f"Holm's method keeps the probability of any false verdict among the study's {plural(len(verdicts), 'claim')} "
        f"at {share}: the smallest p is held against {share} over the number of claims, the next against that over one "
        "fewer, until one fails. Intervals are at the level so granted.",
    ]
    if num_looks:
        found.append(
            f"Seeds were added at {num_looks} looks declared beforehand, each with an equal share of the level; a "
            "claim keeps the verdict of the first look that gave it one."
        )
    return [
        *found,
        "More is the number of further seeds (or sessions) that would bring a verdict in 4 of 5 studies, taking the "
        "means and the spread seen here for the truth.",
    ]
