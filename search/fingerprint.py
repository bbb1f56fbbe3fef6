"""Names for values: a short hash of what a frozen dataclass says.

Knows nothing of studies, data or training. A field that equals its default is left out, so that a field added later
(with a default that keeps the old behaviour) changes no fingerprint; a default must therefore never be changed.
"""

import dataclasses
import hashlib
import json
import math


def canonical(value: object) -> object:
    """Plain JSON form of a value, equal for equal values.

    Dataclasses become objects without the fields that equal their default, tuples become lists, and a whole-numbered
    float becomes an integer (2.0 and 2 are the same setting).

    Args:
        value: a dataclass, dict with text keys, list, tuple, text, number, bool or None, nested at will.

    Raises:
        TypeError: for anything else (a path, a set, an array): it has no business inside a fingerprint.
        ValueError: for nan and infinities.

    >>> canonical((1, 2.0, {"a": None}))
    [1, 2, {'a': None}]
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field for field in dataclasses.fields(value) if not _is_default(field, getattr(value, field.name))]
        return {field.name: canonical(getattr(value, field.name)) for field in fields}
    if isinstance(value, dict):
        return {_key(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, float):
        return _number(value)
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(
        f"a fingerprint covers dataclasses, dicts, lists, text, numbers and None, got {type(value).__name__}: {value!r}"
    )


def fingerprint(value: object) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the value's canonical JSON (keys sorted, UTF-8).

    >>> fingerprint({"b": 1, "a": (2, 3)}) == fingerprint({"a": [2, 3], "b": 1.0})
    True
    """
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _is_default(field: "dataclasses.Field[object]", value: object) -> bool:
    if field.default is not dataclasses.MISSING:
        return bool(field.default == value)
    if field.default_factory is not dataclasses.MISSING:
        return bool(field.default_factory() == value)
    return False


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a fingerprint needs text keys, got {type(key).__name__}: {key!r}")
    return key


def _number(value: float) -> int | float:
    if not math.isfinite(value):
        raise ValueError(f"a fingerprint needs finite numbers, got {value!r}")
    return int(value) if value.is_integer() else value
