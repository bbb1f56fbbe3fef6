"""Numbers as a reader sees them; what was not measured is said so."""

from reports.pareto import Interval

MISSING = "not recorded"
DASH = "-"


def percent(value: float | None) -> str:
    """Accuracy points with one decimal.

    >>> percent(71.42), percent(None)
    ('71.4', '-')
    """
    return DASH if value is None else f"{value:.1f}"


def ratio(value: float | None) -> str:
    """A latency ratio with two decimals."""
    return DASH if value is None else f"{value:.2f}"


def decimals(value: float | None) -> int:
    """Digits after the point for a time: three significant ones.

    >>> decimals(0.5), decimals(3.1), decimals(31.0), decimals(310.0)
    (3, 2, 1, 0)
    """
    size = abs(value or 0.0)
    return 3 if size < 1 else 2 if size < 10 else 1 if size < 100 else 0


def milliseconds(value: float | None) -> str:
    """Milliseconds with three significant digits, never as a power of ten."""
    return DASH if value is None else f"{value:,.{decimals(value)}f}"


def count(value: float | None) -> str:
    """A whole number with separators.

    >>> count(141000.0)
    '141,000'
    """
    return DASH if value is None else f"{value:,.0f}"


def big(value: float | None) -> str:
    """A large number with three digits and a letter.

    >>> big(5_590_000_000), big(25_360_000), big(950)
    ('5.59 G', '25.4 M', '950')
    """
    if value is None:
        return DASH
    for limit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {letter}" if abs(value) < 999.5 * limit else f"{value / limit:.0f} {letter}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(75), duration(5000)
    ('1 min 15 s', '1 h 23 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def spread(interval: Interval, digits: int) -> str:
    """An interval in words; empty where there is none.

    >>> spread((70.0, 72.5), 1)
    '70.0 to 72.5'
    """
    return "" if interval is None else f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"


def plural(number: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "trial"), plural(3, "trial")
    ('1 trial', '3 trials')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def signed(value: float | None, digits: int = 1) -> str:
    """A difference with its sign, one decimal unless told otherwise.

    >>> signed(1.25), signed(-0.04), signed(-2.0), signed(None), signed(0.125, 3)
    ('+1.2', '0.0', '-2.0', '-', '+0.125')
    """
    if value is None:
        return DASH
    text = f"{value:+.{digits}f}"
    return text if float(text) else f"{0:.{digits}f}"


def in_points(value: float) -> str:
    """An amount of accuracy points.

    >>> in_points(1.0), in_points(0.5)
    ('1 point', '0.5 points')
    """
    return f"{value:g} point{'' if value == 1 else 's'}"
