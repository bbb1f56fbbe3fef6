"""The next value of a pure function, computed in a second thread while the first uses this one; knows nothing of
training."""

import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Value = TypeVar("Value")

SWITCH_SECONDS = 1e-5
"""How long a thread may hold Python's lock while the other waits for it. At Python's 5 ms a step with all blocks took
18.6 to 19.5 ms (cpu scale, two cores), at this 17.0 to 17.4."""


def ahead(function: Callable[[int], Value], stop: int) -> Callable[[int], Value]:
    """`function`, with its value at n + 1 begun in another thread as soon as the value at n is asked for.

    One value is held at most, and none is begun from `stop` on. An error surfaces where its value is asked for. Pays
    where the work lets go of Python's lock (matrix products do) and a core is free; what is computed does not change,
    as the second thread has as many torch threads as the first. The whole process switches between threads more often
    from then on.

    >>> squares = ahead(lambda n: n * n, stop=4)
    >>> [squares(n) for n in (0, 1, 3)]
    [0, 1, 9]
    """
    sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lookahead")
    begun: dict[int, Future[Value]] = {}

    def value(number: int) -> Value:
        future = begun.pop(number, None) or pool.submit(function, number)
        begun.clear()
        result = future.result()
        if number + 1 < stop:
            begun[number + 1] = pool.submit(function, number + 1)
        return result

    return value
