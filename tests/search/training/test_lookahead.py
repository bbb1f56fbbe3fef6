"""The next value of a function, computed while the first is used."""

import sys
import threading

import pytest

from search.training.lookahead import SWITCH_SECONDS, ahead


def test_the_next_value_is_begun_while_this_one_is_used_and_none_beyond_the_end() -> None:
    begun = [threading.Event() for _ in range(5)]

    def function(number: int) -> int:
        begun[number].set()
        return number * number

    value = ahead(function, stop=3)
    for number in range(3):
        assert value(number) == number * number
        assert begun[number + 1].wait(5) == (number < 2) if number < 2 else not begun[3].is_set()


def test_values_may_be_asked_for_in_any_order() -> None:
    value = ahead(lambda number: number + 1, stop=100)
    assert [value(number) for number in (5, 6, 9, 0, 1, 1, 99)] == [6, 7, 10, 1, 2, 2, 100]


def test_one_value_is_computed_at_a_time() -> None:
    busy = threading.Lock()

    def function(number: int) -> int:
        assert busy.acquire(blocking=False)
        busy.release()
        return number

    value = ahead(function, stop=50)
    assert [value(number) for number in (*range(20), 3, 30)] == [*range(20), 3, 30]


def test_an_error_surfaces_where_its_value_is_asked_for() -> None:
    def function(number: int) -> int:
        if number == 2:
            raise ValueError("two must not be asked for, got 2")
        return number

    value = ahead(function, stop=9)
    assert [value(0), value(1)] == [0, 1]
    with pytest.raises(ValueError, match=r"^two must not be asked for, got 2$"):
        value(2)
    assert value(3) == 3


def test_the_two_threads_take_turns_often() -> None:
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.005)
        ahead(lambda number: number, stop=1)
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    finally:
        sys.setswitchinterval(before)
