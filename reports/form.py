"""What a search's accuracies are of: as trained, or of the deployed form that is timed; and the cap on its latency.

A page reads scores by plain names (`accuracy`, `agreement/accuracy`). Where a search optimised those of a deployed
form, they get these names here, once, so that every table, figure and sentence is about what was optimised.
"""

import math
from typing import Any

Record = dict[str, Any]
_ACCURACY = "/validation/accuracy"


def scored_form(study: Record) -> str:
    """The deployed form whose accuracy a search optimises, such as `onnx-int8`; empty where it is what was trained."""
    objectives = study.get("objectives")
    first = str(objectives[0]) if isinstance(objectives, list) and objectives else ""
    return first.removesuffix(_ACCURACY) if first.endswith(_ACCURACY) else ""


def cap_of(study: Record) -> float | None:
    """The most milliseconds that a search's configurations may take; None without a cap."""
    cap = study.get("max_latency_ms")
    if isinstance(cap, bool) or not isinstance(cap, int | float) or not 0 < cap < math.inf:
        return None
    return float(cap)


def as_deployed(record: Record, form: str) -> Record:
    """The record with the scores of a form under plain names, and those of training as `trained/...`.

    Args:
        form: such as `onnx-int8`; empty leaves the record as it is.
    """
    if not form:
        return record
    return {**record, "measurements": [_renamed(item, form) for item in record["measurements"]]}


def _renamed(item: Record, form: str) -> Record:
    conditions: dict[str, Any] = item["conditions"]
    runtime = conditions.get("runtime")
    if "split" not in conditions:
        return item  # no score
    if runtime == form:
        kept = {name: value for name, value in conditions.items() if name != "runtime"}
        return {**item, "metric": item["metric"].removeprefix(f"{form}/"), "conditions": kept | {"form": form}}
    if runtime is None:
        return {**item, "metric": f"trained/{item['metric']}", "conditions": conditions | {"runtime": "training"}}
    return item
