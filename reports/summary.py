"""The answer of a run as a few rows of text, for the end of `thinbert run`: its front, or an ablation's verdicts."""

from pathlib import Path

from reports import readable
from reports.capped import about_cap
from reports.claim_tables import claim_cells
from reports.contrast import contrasts
from reports.contrast_tables import contrast_cells
from reports.findings import NO_FRONT
from reports.points import Point, points_of
from reports.reading import read_run
from reports.records import is_ablation
from reports.verdict import verdicts

HEAD = ("", "accuracy", "latency ratio", "ms", "parameters", "FLOPs", "seeds")


def summary_rows(run_folder: Path) -> list[tuple[str, ...]]:
    """A head, and the front from fast to slow, then the baseline where it is not on it; where there is neither, that.

    For an ablation: a head, and each claim with its verdict; each arm against the first where it declares none.
    """
    run = read_run(run_folder)
    if is_ablation(run):
        judged = verdicts(run)
        if judged:
            return claim_cells(judged)
        return contrast_cells(contrasts(run.records, run.study))
    found = points_of(run)
    shown = [point for point in found if point.on_front]
    shown += [point for point in found if point.is_baseline and not point.on_front]
    return [HEAD, *(_row(point) for point in shown)] if shown else [(NO_FRONT,)]


def cap_lines(run_folder: Path) -> list[str]:
    """What a search with a cap on its latency found under it, as plain text; nothing of another run."""
    run = read_run(run_folder)
    return [] if is_ablation(run) else [str(line.striptags()) for line in about_cap(run, points_of(run))]


def _row(point: Point) -> tuple[str, ...]:
    return (
        point.name if point.on_front else f"{point.name}, not on the front",
        readable.percent(point.accuracy),
        readable.ratio(point.latency_ratio),
        readable.milliseconds(point.latency_ms),
        readable.count(point.parameters),
        readable.big(point.flops),
        str(point.num_seeds),
    )
