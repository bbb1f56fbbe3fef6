"""What a point is called: the names say what differs from the baseline, computed from the two specs; plain text only.

A feed-forward width that follows the bottleneck in the baseline's proportion is not repeated.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from search.trial import Change, json_changes

BASELINE_NAME = "baseline (paper's ratios)"
IDENTITY_FIELDS = ("seed", "teacher.seed")
"""Fields of a spec that do not make another configuration."""

_COUNTED = {"num_layers": "layer", "num_heads": "head", "num_feed_forward": "FFN", "max_positions": "position"}
_SIZED = {
    "hidden_size": "width",
    "bottleneck_size": "bottleneck",
    "feed_forward_size": "FFN width",
    "embedding_size": "embedding",
    "vocab_size": "vocabulary",
}
_OWN = {"feed_forward": "FFN", "own_loss": "loss"}
_VALUES = {
    ("norm", "no_norm"): "NoNorm",
    ("norm", "layer_norm"): "LayerNorm",
    ("trigram", True): "trigram",
    ("trigram", False): "no trigram",
    ("use_bottleneck", True): "with bottleneck",
    ("use_bottleneck", False): "no bottleneck",
    ("attention_input", "block_input"): "Q, K, V from block input",
    ("attention_input", "shared_bottleneck"): "shared Q/K bottleneck",
    ("attention_input", "bottleneck"): "Q, K, V from bottleneck",
}


def point_name(spec: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> str:
    """The name of one configuration, such as `bottleneck 24, 2 heads`; the baseline has its own.

    Without a baseline the name gives bottleneck, heads and feed-forward networks.

    >>> point_name({"student": {"num_heads": 1}}, {"student": {"num_heads": 4}})
    '1 head'
    """
    if not baseline:
        student = spec.get("student") or {}
        shown = [key for key in ("bottleneck_size", "num_heads", "num_feed_forward") if key in student]
        return ", ".join(phrase(key, student[key]) for key in shown) or "unnamed"
    relevant = [change for change in json_changes(baseline, spec) if not _is_identity(change[0])]
    told = [change for change in relevant if not _follows(change, baseline, spec)]
    return ", ".join(phrase(field, after) for field, _, after in told) or BASELINE_NAME


def unique_names(
    specs: Sequence[Mapping[str, Any]], keys: Sequence[str], baseline: Mapping[str, Any] | None
) -> list[str]:
    """One name per spec; where two would share one, the first six digits of their keys tell them apart."""
    names = [point_name(spec, baseline) for spec in specs]
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name} [{key[:6]}]" for name, key in zip(names, keys, strict=True)]


def phrase(field: str, value: Any) -> str:
    """One field and its value in words.

    >>> phrase("student.num_feed_forward", 4), phrase("student.norm", "no_norm"), phrase("recipe.pre_training.steps", 9)
    ('4 FFNs', 'NoNorm', 'pre training steps 9')
    """
    if field.startswith("teacher."):
        return f"teacher: {phrase(field.removeprefix('teacher.'), value)}"
    last = field.rsplit(".", 1)[-1]
    if isinstance(value, str | bool) and (last, value) in _VALUES:
        return _VALUES[last, value]
    if last in _COUNTED:
        return f"{value} {_COUNTED[last]}{'' if value == 1 else 's'}"
    if last == "activation":
        return str(value)
    if last in ("feed_forward", "own_loss") and isinstance(value, str):  # of code of one's own, without its hash
        return f"{_OWN[last]} {value.partition('@')[0]}"
    label = _SIZED.get(last) or " ".join(field.split(".")[1:] or [field]).replace("_", " ")
    if value is None or isinstance(value, Mapping):
        return f"{'no' if value is None else 'with'} {label}"
    return f"{label} {value:g}" if isinstance(value, float) else f"{label} {value}"


def field_label(field: str) -> str:
    """A knob in words, for axes and table heads.

    >>> field_label("num_feed_forward"), field_label("bottleneck_size")
    ('FFNs', 'bottleneck')
    """
    return f"{_COUNTED[field]}s" if field in _COUNTED else _SIZED.get(field, field.replace("_", " "))


def _is_identity(field: str) -> bool:
    return field in IDENTITY_FIELDS


def _follows(change: Change, baseline: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    """Whether a feed-forward width keeps the baseline's proportion to the bottleneck."""
    if change[0] != "student.feed_forward_size":
        return False
    narrow_before = baseline["student"].get("bottleneck_size")
    narrow_after = spec["student"].get("bottleneck_size")
    numbers = (change[1], change[2], narrow_before, narrow_after)
    if not all(isinstance(number, int) for number in numbers) or narrow_before == narrow_after:
        return False
    return bool(change[1] * narrow_after == change[2] * narrow_before)
