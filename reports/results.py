"""The verdicts of a book as one page of Markdown, for a README's neighbour or a pull request."""

import re
from collections.abc import Sequence

from reports.claim_tables import effect_text, interval_text, num_lost
from reports.conclusions import Conclusion
from reports.readable import plural
from reports.verdict import Verdict

Concluded = Sequence[tuple[int, Conclusion, tuple[Verdict, ...]]]


def results(studies: Sequence[tuple[str, str, Sequence[Verdict]]], answer: str, conclusions: Concluded) -> str:
    """A heading, the answer in a sentence, the paper's conclusions at a glance, and a table per study.

    Args:
        studies: title, question and verdicts of each.
        answer: the book's first sentence.
        conclusions: as `concluded` gives them.
    """
    lines = ["# What was found", "", answer, "", *conclusion_lines(conclusions)]
    for title, question, claimed in studies:
        if claimed:
            lines += [f"## {escape(title)}", "", escape(question), "", *_table(claimed), ""]
    return "\n".join(lines)


def conclusion_lines(conclusions: Concluded) -> list[str]:
    """A table of the paper's conclusions with the verdict on each of their claims; nothing where there are none."""
    if not conclusions:
        return []
    lines = ["## The paper's conclusions", "", "| | the paper concludes | here |", "| --- | --- | --- |"]
    for number, conclusion, spoken in conclusions:
        said = "; ".join(f"{escape(one.claim.says)}: **{one.outcome}**" for one in spoken)
        lines.append(f"| {number} | {conclusion.says} ({conclusion.source}) | {said} |")
    return [*lines, ""]


def escape(text: str) -> str:
    r"""Text as Markdown shows it, on one line: it ends no cell, begins no tag, link, image, list or heading.

    >>> escape("a|b <i>")
    'a\\|b &lt;i&gt;'
    """
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_\[\]|~])", r"\\\1", line)
    # A bare address would become a link: GitHub's Markdown makes one of what follows :// and www.
    line = re.sub(r"(?i)(:)(//)|(www)(\.)", r"\1\3&#8203;\2\4", line)
    return re.sub(r"^([#+=-]|\d+(?=[.)]))", _at_the_start, line)


def _at_the_start(found: re.Match[str]) -> str:
    """What would begin a heading or a list there; a number is made harmless by its point."""
    return f"{found[0]}&#8203;" if found[0].isdigit() else f"\\{found[0]}"


def _table(claimed: Sequence[Verdict]) -> list[str]:
    head = ["| the paper says | verdict | effect | interval | margin | n |", "| --- | --- | --- | --- | --- | --- |"]
    return head + [_row(verdict) for verdict in claimed]


def _row(verdict: Verdict) -> str:
    claim, part = verdict.claim, verdict.shown
    lost = num_lost(verdict.lost)
    cells = (
        escape(f"{claim.says} ({claim.source})"),
        f"**{verdict.outcome}**" + (f" ({escape(verdict.forecast)})" if verdict.forecast else ""),
        f"{effect_text(part)} {escape(f'{part.unit}: {part.label}')}",
        interval_text(part),
        f"{claim.margin:g}",
        f"{verdict.num_blocks} {claim.blocks}" + (f", {plural(lost, 'pair')} lost" if lost else ""),
    )
    return f"| {' | '.join(cells)} |"
