"""Which weights of a run are worth their disk: those of the front and of the baseline."""

from pathlib import Path

from reports.points import points_of
from reports.reading import read_run


def kept_weights(run_folder: Path) -> set[str]:
    """Fingerprints of the trials on the front and of the baseline, all their seeds."""
    run = read_run(run_folder)
    shown = [point for point in points_of(run) if point.on_front or point.is_baseline]
    return {fingerprint for point in shown for fingerprint in point.fingerprints}
