"""What a run optimises, by the names in its trial files, and the cap that it stays under. Imports nothing heavy."""

from dataclasses import dataclass

from search.latency.case import Runtime
from search.record import TrialRecord
from search.study import Ablation, Search


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Two metrics, the first to be large, the second small, and the most milliseconds that a trial may take."""

    accuracy: str = "validation/accuracy"
    latency: str = "latency_ratio"
    max_latency_ms: float | None = None

    @property
    def objectives(self) -> tuple[str, str]:
        """Both metrics, in the order in which Optuna is told them."""
        return self.accuracy, self.latency


def aim_of(study: Search | Ablation) -> Aim:
    """What a study is after: accuracy as trained, or of the form that is timed (`scored_runtimes`)."""
    if isinstance(study, Ablation):
        return Aim()
    accuracy = "/".join((*scored_runtimes(study), "validation/accuracy"))
    return Aim(accuracy=accuracy, max_latency_ms=study.max_latency_ms)


def scored_runtimes(study: Search | Ablation) -> tuple[Runtime, ...]:
    """The deployed forms in which every trial is scored too.

    Of a search whose latency is that of int8: int8, since that accuracy is bought with those milliseconds. The other
    runtimes compute what was trained, within rounding.
    """
    if isinstance(study, Ablation):
        return study.score_runtimes
    return ("onnx-int8",) if study.latency.runtime == "onnx-int8" else ()


def objective_values(record: TrialRecord, aim: Aim) -> list[float] | None:
    """Accuracy and latency of a trial; None where it has not both, or a cap and no milliseconds to hold against it."""
    values = [record.value(metric) for metric in aim.objectives]
    capped = aim.max_latency_ms is None or record.value("latency_ms") is not None
    if record.status != "complete" or not capped or any(value is None for value in values):
        return None
    return [value for value in values if value is not None]


def constraints(record: TrialRecord, aim: Aim) -> dict[str, float]:
    """Optuna's constraints, each met where it is at most 0: by how many milliseconds a trial is above the cap.

    The latency is the one that the search saw, the median of its session or the median of what was predicted. Empty
    without a cap, or where there is no latency.
    """
    latency_ms = record.value("latency_ms")
    if aim.max_latency_ms is None or latency_ms is None:
        return {}
    return {"latency_ms": latency_ms - aim.max_latency_ms}
