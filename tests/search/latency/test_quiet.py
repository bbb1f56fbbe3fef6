"""Pinning: a thread stays on its core and goes free again."""

import os

import pytest

from search.latency.quiet import pinned


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins nothing")
def test_a_thread_is_pinned_to_a_core_it_may_use_and_set_free() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(RuntimeError, match="inside"), pinned(True) as core:
        assert core in before and os.sched_getaffinity(0) == {core}
        raise RuntimeError("inside")
    assert os.sched_getaffinity(0) == before


def test_nothing_is_pinned_unless_it_is_wanted() -> None:
    with pinned(False) as core:
        assert core is None
