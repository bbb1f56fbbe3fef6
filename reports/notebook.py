"""Runs, contrasts and verdicts as short HTML in a notebook; `model_zoo.short_html` escapes every text."""

from collections import Counter

from model_zoo.short_html import short_table
from reports.claim_tables import claim_cells, look_text, lost_text
from reports.claim_text import claim_sentences
from reports.contrast import Contrast, arm_names, study_seeds
from reports.contrast_tables import interval_text, p_text
from reports.contrast_tables import lost_text as lost_pairs
from reports.readable import DASH, MISSING, percent, plural, signed
from reports.records import Run, is_ablation
from reports.verdict import Verdict


def run_html(run: Run) -> str:
    """The question, what was trained and what became of it, and every file that could not be used."""
    study, status = run.study, Counter(str(record["status"]) for record in run.records)
    trials = ", ".join(f"{number} {name}" for name, number in status.items()) or "none yet"
    rows = [
        ("question", study.get("question") or MISSING),
        ("kind and scale", f"{study.get('kind') or MISSING}, {study.get('scale') or MISSING}"),
        ("trials", trials),
    ]
    if is_ablation(run):
        rows.append(("arms", ", ".join(arm_names(study)) or MISSING))
        rows.append(("seeds", ", ".join(map(str, study_seeds(run.records, study))) or MISSING))
    claims = study.get("claims")
    if isinstance(claims, list) and claims:
        rows.append(("claims", plural(len(claims), "claim")))
    rows += [("problem", problem) for problem in run.problems]
    return short_table(f"Run {run.name}", rows)


def verdict_html(verdict: Verdict) -> str:
    """The verdict in a sentence, then its numbers."""
    (sentence,) = claim_sentences([verdict])
    head, cells = claim_cells([verdict])
    rows = [(name, cell) for name, cell in zip(head, cells, strict=True) if name not in ("claim", "lost")]
    rows.append(("margin because", verdict.claim.margin_because))
    if verdict.num_looks:
        rows.append(("look", look_text(verdict)))
    if verdict.lost:
        rows.append(("lost", lost_text(verdict)))
    return f"<p>{sentence}</p>{short_table(verdict.claim.name, rows)}"


def contrast_html(contrast: Contrast) -> str:
    """An arm against the first one in one metric: both means, the difference with its interval, the verdict."""
    rows = [
        ("verdict", contrast.verdict or DASH),
        ("difference, points", signed(contrast.mean, 2)),
        ("95 % interval", interval_text(contrast) or DASH),
        (contrast.arm, percent(contrast.arm_mean)),
        (contrast.baseline, percent(contrast.baseline_mean)),
        ("p", p_text(contrast.p if contrast.p_holm is None else contrast.p_holm)),
        ("pairs", str(contrast.num_pairs)),
    ]
    if contrast.lost:
        rows.append(("lost", lost_pairs(contrast.lost)))
    if contrast.forecast:
        rows.append(("forecast", contrast.forecast))
    return short_table(f"{contrast.arm} against {contrast.baseline}: {contrast.metric}", rows)
