"""The tables around the results: what was scaled down, what the data are, where and with what the trials ran."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.readable import DASH, MISSING
from reports.records import Record, Run
from reports.sections import Cell, Table
from reports.training_time import time_facts


def scaling_table(study: Record) -> Table:
    """What was scaled down, the paper's size beside the one here."""
    listed = study.get("scaling")
    entries = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    rows = [tuple(Cell(text=words(item.get(key))) for key in ("what", "paper", "here")) for item in entries]
    return Table(heads=("what", "in the paper", "here"), numeric=(False, False, False), rows=tuple(rows))


def data_tables(study: Record) -> list[tuple[str, Table]]:
    """The data report in the form it has: a table for each list of objects and for all objects, one of the rest."""
    report = study.get("data_report")
    if not isinstance(report, dict):
        return []
    tables: list[tuple[str, Table]] = []
    plain: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    for key, value in report.items():
        label = str(key).replace("_", " ")
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            tables.append((label, _object_table([("", item) for item in value])))
        elif isinstance(value, dict):
            nested[label] = value
        else:
            plain[label] = value
    if nested:
        tables.append(("what was found before training", _object_table(list(nested.items()))))
    if plain:
        rows = tuple((Cell(text=key), Cell(text=words(value))) for key, value in plain.items())
        tables.append(("in all", Table(heads=("what", "value"), numeric=(False, False), rows=rows)))
    return tables


def _object_table(entries: list[tuple[str, Record]]) -> Table:
    """One row per object; a field that is empty in all of them is left out, a nameless first column too."""
    fields = dict.fromkeys(field for _, entry in entries for field in entry)
    kept = [field for field in fields if not all(_is_empty(entry.get(field)) for _, entry in entries)]
    named = any(name for name, _ in entries)
    rows = [
        (*([Cell(text=name)] if named else []), *(Cell(text=words(entry.get(field), DASH)) for field in kept))
        for name, entry in entries
    ]
    heads = (*(["name"] if named else []), *(str(field).replace("_", " ") for field in kept))
    return Table(heads=heads, numeric=(False,) * len(heads), rows=tuple(rows))


def _is_empty(value: Any) -> bool:
    """Whether a value has nothing to tell; an object of zeros (rows missing per split, say) has not."""
    if isinstance(value, Mapping):
        return all(item == 0 or _is_empty(item) for item in value.values())
    return value is None or value == "" or value == []


def provenance(run: Run, keys: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """Where, when and with what the trials ran; several values are all listed.

    Args:
        keys: of the trials' configurations, where somebody has found them already.
    """
    kept = [record["provenance"] for record in run.records]
    versions = [item["versions"] for item in kept if isinstance(item.get("versions"), dict)]
    packages = sorted({str(name) for listed in versions for name in listed})
    dirty = any(item.get("dirty") for item in kept)
    facts = [
        ("commit", _every(kept, "commit") + (" (with uncommitted changes)" if dirty else "")),
        ("machine", _every(kept, "machine")),
        ("device", _every(kept, "device")),
        ("cores", _every(kept, "cores")),
        ("threads per trial", _every(kept, "threads")),
        ("python", _every(kept, "python")),
        *((name, _every(versions, name)) for name in packages),
        ("first trial started", min((str(item["started"]) for item in kept if item.get("started")), default=MISSING)),
        ("last trial finished", max((str(item["finished"]) for item in kept if item.get("finished")), default=MISSING)),
        ("restarts of trials", str(sum(n for item in kept if isinstance(n := item.get("restarts"), int)))),
        *time_facts(run.records, keys),
        *_raced_rates(run.study),
    ]
    return facts


def _raced_rates(study: Record) -> list[tuple[str, str]]:
    """The learning rates that a race chose, one fact per norm type; none without a race."""
    result = study.get("race")
    races = result.get("races") if isinstance(result, dict) else None
    listed = [race for race in races if isinstance(race, dict)] if isinstance(races, list) else []
    return [(f"learning rate raced, {words(race.get('norm'))}", words(race.get("rate"))) for race in listed]


def words(value: Any, missing: str = MISSING) -> str:
    """Any JSON value on one line."""
    if value is None or value == "":
        return missing
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        parts = ((key, words(item, DASH), isinstance(item, Mapping)) for key, item in value.items())
        return ", ".join(f"{key} ({text})" if inner else f"{key} {text}" for key, text, inner in parts) or "none"
    if isinstance(value, list):
        return ", ".join(words(item, DASH) for item in value) or "none"
    return str(value)


def _every(kept: list[Record], key: str) -> str:
    return ", ".join(dict.fromkeys(str(item[key]) for item in kept if item.get(key) is not None)) or MISSING
