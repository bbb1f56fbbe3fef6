"""How long a latency session goes on, and which one is refused; as a value. Needs neither torch nor numpy."""

from dataclasses import dataclass

GROWTH = 1.5
"""Rounds between two looks at the intervals grow by this factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """Rounds, time and widths of a session. Widths are high / low - 1 of a ratio's 95 % interval.

    A session ends when every candidate's interval is at most `interval_width` wide, or `seconds` are up, or after
    `most_rounds`. It looks at its intervals after `least_rounds` and then each time that there are half as many rounds
    again, not after every round: stopping at the first look at which an interval happens to be narrow picks narrow ones
    out of many, and those miss the truth too often. Which looks are few enough was found on a simulated machine
    (tests/search/latency/test_summary.py).

    Raises ValueError, naming field and value, for rounds, time or widths that make no session.
    """

    warmup: int = 3
    """Rounds before the session that are thrown away."""
    least_rounds: int = 20
    most_rounds: int = 2000
    seconds: float | None = 60.0
    """Of warm-up and rounds; None sets no limit. A round that has begun is finished, and there are two at least."""
    interval_width: float | None = 0.01
    """None goes on to `most_rounds` or the end of time."""
    control_width: float | None = 0.05
    """The widest interval of the A/A control that is kept; None keeps every session."""
    repeats: int = 3
    """How often a refused session is done again."""
    pin: bool = False
    """Whether the thread that measures stays on the core that it is on. On one thread of the CPU alone: several are
    left to the scheduler."""

    def __post_init__(self) -> None:
        for name, least in (("warmup", 1), ("least_rounds", 1), ("most_rounds", 1), ("repeats", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(
                    f"{name.replace('_', ' ')} of a latency session must be a whole number of at least {least}, "
                    f"got {value!r}"
                )
        if self.least_rounds > self.most_rounds:
            raise ValueError(
                f"least rounds of a latency session must be at most the most, got {self.least_rounds} and "
                f"{self.most_rounds}"
            )
        for name in ("seconds", "interval_width", "control_width"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < float("inf"):
                raise ValueError(
                    f"{name.replace('_', ' ')} of a latency session must be above 0 and finite, got {value!r}"
                )

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many rounds the intervals are looked at.

        >>> Protocol(most_rounds=60).looks
        (20, 30, 45, 60)
        """
        found = [self.least_rounds]
        while found[-1] < self.most_rounds:
            found.append(min(self.most_rounds, -int(-found[-1] * GROWTH // 1)))
        return tuple(found)


def fixed_rounds(rounds: int, *, warmup: int = 3, control_width: float | None = None) -> Protocol:
    """A session of exactly so many rounds, however long it takes.

    >>> fixed_rounds(40).looks
    (40,)
    """
    return Protocol(
        warmup=warmup,
        least_rounds=rounds,
        most_rounds=rounds,
        seconds=None,
        interval_width=None,
        control_width=control_width,
    )
