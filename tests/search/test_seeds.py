"""Streams of randomness have names, and a name gives the same stream in every release."""

from search.seeds import stream_seed


def test_streams_differ_by_seed_and_by_every_part_of_the_name() -> None:
    asked = [(0, "dropout"), (1, "dropout"), (0, "rows"), (0, "rows", "a"), (0, "rows", "a", 0), (0, "rows", "a", 1)]
    assert len({stream_seed(seed, *names) for seed, *names in asked}) == len(asked)  # type: ignore[misc]


def test_a_stream_is_the_same_for_ever() -> None:
    assert stream_seed(0, "initialisation") == GOLDEN
    assert stream_seed(3, "rows", "sentiment", 2) == GOLDEN_OF_ROWS


def test_seeds_fit_into_63_bits() -> None:
    assert all(0 <= stream_seed(0, "x", number) < 2**63 for number in range(200))


GOLDEN = 1952974914541233639
GOLDEN_OF_ROWS = 8730072002940490041
