"""`thinbert compare`: what is printed, and the page that is written."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from reports.compare import rows
from reports.comparison.answer import Answer, answer
from studies import terminal


def compare_named(names: Sequence[str], *, length: int, cap: str | None, out: Path | None, as_json: bool) -> int:
    """Compare what the names stand for; print it, or one JSON document. Returns the exit status.

    Raises:
        ValueError: bad input; nothing is written then.
    """
    if out is not None and (out.is_dir() or out.suffix not in (".html", ".htm")):
        raise ValueError(f"--out is the path of a page such as page.html, got {str(out)!r}")
    cap_ms = None
    if cap is not None:
        from reports.comparison.choice import parse_cap

        cap_ms = parse_cap(cap)
    found = answer(names, length=length, cap_ms=cap_ms)
    if out is not None:
        from reports.comparison.page import write_recommendation

        write_recommendation(found, out, _command(names, length, cap, out))
    if as_json:
        from reports.comparison.document import document

        terminal.show_json(document(found))
        return 0
    _show(found)
    if out is not None:
        print(out)
    return 0


def _show(found: Answer) -> None:
    if found.comparison.items:
        terminal.show_table(rows(found.comparison))
    if found.pairs:
        from reports.comparison.tables import change_lines, evidence_cells
        from reports.comparison.text import limits

        evidence = evidence_cells(found.pairs)
        for subject in found.subjects:
            if subject.note:
                print(f"\n{subject.name} stands for {subject.note}")
        if evidence:
            print()
            terminal.show_table(evidence)
        print("\nWhat changed")
        terminal.show_lines(change_lines(found.pairs))
        print()
        terminal.show_lines(found.sentences)
        terminal.show_lines(limits(found.pairs))
    elif found.sentences:
        print()
        terminal.show_lines(found.sentences)
    if found.unmatched:
        print(f"Without counterpart: {', '.join(found.unmatched)}.")
    for problem in found.problems:
        print(f"A file that could not be used: {problem}.")
    several = any(len(subject.blocks) > 1 for subject in found.subjects)
    if found.choice is not None and (found.pairs or several or found.choice.cap_ms is not None):
        print(f"\n{found.choice.sentence}")


def _command(names: Sequence[str], length: int, cap: str | None, out: Path) -> str:
    """The command that gives this page again."""
    options = [*(["--length", str(length)] if length != 128 else []), *(["--cap", cap] if cap is not None else [])]
    return shlex.join(["thinbert", "compare", *names, *options, "--out", str(out)])
