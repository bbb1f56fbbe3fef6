"""Fingerprints name values: what changes them, and what must not."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from search.fingerprint import canonical, fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    width: int
    rate: float = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    parts: tuple[Part, ...]
    names: tuple[str, ...] = ()
    last: Part = field(default_factory=lambda: Part(width=3))


@dataclass(frozen=True, kw_only=True, slots=True)
class PartWithALaterField:
    width: int
    rate: float = 0.1
    added_later: bool = False


def test_a_fingerprint_is_sixteen_hexadecimal_digits_of_a_known_hash() -> None:
    # sha256 of {"width":4}
    assert fingerprint(Part(width=4)) == "3424bc167962a14a"
    assert canonical(Part(width=4)) == {"width": 4}


def test_fields_that_equal_their_default_are_left_out_also_nested() -> None:
    assert canonical(Whole(parts=(Part(width=2, rate=0.1),), last=Part(width=3))) == {"parts": [{"width": 2}]}


def test_a_field_added_later_with_a_default_changes_no_fingerprint() -> None:
    assert fingerprint(PartWithALaterField(width=4, rate=0.3)) == fingerprint(Part(width=4, rate=0.3))


def test_any_other_value_changes_the_fingerprint() -> None:
    values = [Part(width=4), Part(width=5), Part(width=4, rate=0.2), (Part(width=4),), None, "4", 4]
    assert len({fingerprint(value) for value in values}) == len(values)


def test_whole_numbered_floats_and_integers_are_the_same_setting() -> None:
    assert fingerprint(Part(width=4, rate=2.0)) == fingerprint(Part(width=4, rate=2))


def test_the_order_of_keys_does_not_matter_but_that_of_items_does() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint((1, 2)) != fingerprint((2, 1))


@pytest.mark.parametrize("value", [Path("data"), {1, 2}, b"bytes", {3: "number as key"}])
def test_what_is_no_plain_value_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="a fingerprint"):
        fingerprint(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        fingerprint({"loss": value})
