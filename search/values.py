"""Values to plain JSON and back, checked field by field; knows nothing of what the values mean."""

import dataclasses
import functools
import json
import types
import typing
from typing import Any, Literal, TypeVar, get_args, get_origin

Value = TypeVar("Value")


def to_json(value: Any) -> Any:
    """A value as dictionaries, lists and scalars, every field written out, defaults too."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    return value


def from_json(kind: type[Value], document: Any, place: str = "") -> Value:
    """Rebuild a value of dataclass `kind` from what `to_json` wrote.

    Args:
        place: what the error names, such as a file.

    Raises:
        ValueError: an unknown, missing or ill-typed field, by name; or what the value's own check says.
    """
    place = place or kind.__name__
    if not isinstance(document, dict):
        raise ValueError(f"{place} must be a JSON object, got {document!r:.60}")
    fields, hints = _fields_and_hints(kind)  # type: ignore[arg-type]
    unknown = sorted(set(document) - set(fields))
    if unknown:
        raise ValueError(f"{place} has no field {unknown[0]!r}; its fields are {', '.join(fields)}")
    required = [name for name, field in fields.items() if _is_required(field)]
    missing = [name for name in required if name not in document]
    if missing:
        raise ValueError(f"{place} lacks the field {missing[0]!r}; required are {', '.join(required)}")
    return kind(**{name: _convert(hints[name], item, f"{place}: {name}") for name, item in document.items()})


@functools.cache
def _fields_and_hints(kind: type) -> tuple[dict[str, "dataclasses.Field[Any]"], dict[str, Any]]:
    """Of a dataclass, by name: looking them up takes longer than a whole conversion."""
    return {field.name: field for field in dataclasses.fields(kind)}, typing.get_type_hints(kind)


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _convert(hint: Any, item: Any, place: str) -> Any:
    origin = get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(hint, item, place)
    if dataclasses.is_dataclass(hint):
        return _part(typing.cast(type, hint), item, place)
    if origin is tuple:
        return _convert_tuple(hint, item, place)
    if origin is Literal:
        return _check(item in get_args(hint), item, f"one of {', '.join(map(str, get_args(hint)))}", place)
    if origin is dict:
        return _check(isinstance(item, dict), item, "a JSON object", place)
    if hint is float:
        number = isinstance(item, int | float) and not isinstance(item, bool)
        return float(_check(number, item, "a number", place))
    if hint is int:
        return _check(isinstance(item, int) and not isinstance(item, bool), item, "a whole number", place)
    if hint in (str, bool):
        return _check(isinstance(item, hint), item, f"a {hint.__name__}", place)
    return item


def _part(kind: type, item: Any, place: str) -> Any:
    """A value inside another, such as the data of a specification, which thousands of documents share."""
    try:
        return _known_part(kind, json.dumps(item))
    except (ValueError, TypeError):  # said again with its place, which is no part of what is kept
        return from_json(kind, item, place)


@functools.lru_cache(maxsize=256)
def _known_part(kind: type, text: str) -> Any:
    """Values are frozen: equal ones may be one."""
    return from_json(kind, json.loads(text))


def _convert_union(hint: Any, item: Any, place: str) -> Any:
    options = get_args(hint)
    if item is None and type(None) in options:
        return None
    others = [option for option in options if option is not type(None)]
    if len(others) > 1 and all(dataclasses.is_dataclass(option) for option in others):
        fitting = [option for option in others if isinstance(item, dict) and _can_be(option, item)]
        others = (fitting or others)[:1]  # of what fits none, the first says what is wrong
    return _convert(others[0], item, place) if len(others) == 1 else item


def _can_be(kind: Any, document: dict[str, Any]) -> bool:
    """Whether a document has the fields of a dataclass: how one of several is told."""
    return dataclasses.is_dataclass(kind) and set(document) <= {field.name for field in dataclasses.fields(kind)}


def _convert_tuple(hint: Any, item: Any, place: str) -> Any:
    _check(isinstance(item, list), item, "a list", place)
    inner = get_args(hint)
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_convert(inner[0], part, place) for part in item)
    _check(len(item) == len(inner), item, f"a list of {len(inner)}", place)
    return tuple(_convert(kind, part, place) for kind, part in zip(inner, item, strict=True))


def _check(holds: bool, item: Any, rule: str, place: str) -> Any:
    if not holds:
        raise ValueError(f"{place} must be {rule}, got {item!r:.60}")
    return item
