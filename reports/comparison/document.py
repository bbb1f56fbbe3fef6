"""An answer as one JSON document, every number in full, what is missing null."""

from dataclasses import asdict
from typing import Any

from reports.compare import to_documents
from reports.comparison.answer import Answer
from reports.comparison.subjects import Subject
from search.trial import changes
from search.values import to_json

SCHEMA = 1


def document(answer: Answer) -> dict[str, Any]:
    """The whole answer.

    `items` have what `to_documents` says of them and their trials by seed; `pairs` differences in points, changes,
    latency ratio and sentence; `recommendation` is null where no item is of a run and no cap was asked for.
    """
    sized = {one["name"]: one for one in to_documents(answer.comparison)}
    return {
        "schema": SCHEMA,
        "length": answer.comparison.length,
        "items": [_item(subject, sized.get(subject.name, {}), answer) for subject in answer.subjects],
        "differences": [{"field": one.field, "values": list(one.values)} for one in answer.comparison.differences],
        "pairs": _pairs(answer),
        "unmatched": list(answer.unmatched),
        "recommendation": _recommendation(answer),
        "problems": list(answer.problems),
    }


def _item(subject: Subject, sized: dict[str, Any], answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"name": subject.name, "kind": subject.kind, **sized}
    if subject.source is None or answer.choice is None:
        return found
    candidate = next(one for one in answer.choice.candidates if one.name == subject.name)
    return found | {
        "config": to_json(subject.student),
        "run": subject.source.folder.name,
        "arm": subject.arm or None,
        "note": subject.note or None,
        "encoder": subject.encoder,
        "accuracy": candidate.accuracy,
        "num_seeds": candidate.num_seeds,
        "latency": asdict(candidate.timing),
        "trials": [_trial(seed, record) for seed, record in sorted(subject.blocks.items())],
    }


def _trial(seed: int, record: dict[str, Any] | None) -> dict[str, Any]:
    if record is None:
        return {"seed": seed, "fingerprint": None, "status": "not trained", "measurements": []}
    return {"seed": seed, **{key: record[key] for key in ("fingerprint", "status", "measurements")}}


def _pairs(answer: Answer) -> list[dict[str, Any]]:
    if not answer.pairs and not answer.comparison.items:
        return []
    if not answer.pairs:
        first, *others = answer.comparison.items
        return [
            {
                "item": item.name,
                "against": first.name,
                "changes": [one._asdict() for one in changes(to_json(first.config), to_json(item.config))],
                "sentence": sentence,
            }
            for item, sentence in zip(others, answer.sentences, strict=True)
        ]
    found = []
    for pair, sentence in zip(answer.pairs, answer.sentences, strict=True):
        found.append(
            {
                "item": pair.subject.name,
                "against": pair.against.name,
                "changes": [one._asdict() for one in pair.changes],
                "surroundings": list(pair.surroundings),
                "shared_seeds": list(pair.shared_seeds),
                "num_unshared_seeds": pair.num_unshared,
                "not_paired": pair.not_paired or None,
                "same_trials": pair.is_same,
                "margin": pair.margin,
                "accuracy": None if pair.accuracy is None else asdict(pair.accuracy),
                "tasks": [asdict(contrast) for contrast in pair.tasks],
                "latency": asdict(pair.latency),
                "sentence": sentence,
            }
        )
    return found


def _recommendation(answer: Answer) -> dict[str, Any] | None:
    choice = answer.choice
    if choice is None:
        return None
    return {
        "cap_ms": choice.cap_ms,
        "item": None if choice.chosen is None else choice.chosen.name,
        "probability": None if choice.chosen is None else choice.chosen.probability,
        "sentence": choice.sentence,
        "candidates": [
            {
                "name": one.name,
                "accuracy": one.accuracy,
                "num_seeds": one.num_seeds,
                "probability": one.probability,
                "left_out": one.left_out or None,
                "p_adjusted": one.p,
                "told_apart": one.is_told_apart,
            }
            for one in choice.candidates
        ],
    }
