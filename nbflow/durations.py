"""Durations as people write them, to seconds as `float`, and back."""

import math
import re
from datetime import timedelta

from nbflow.errors import DurationError

__all__ = ["Duration", "ago", "seconds", "spell"]

_FORMS = "seconds, a timedelta, or text such as '90s', '2h30m', '1d'"
Duration = float | timedelta | str

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SPANS = ((3600, "min", 60, "s", 1), (86400, "h", 3600, "min", 60), (math.inf, "d", 86400, "h", 3600))
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])\s*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def seconds(duration: Duration, what: str = "a duration") -> float:
    """Seconds of a duration: a number of them, a `timedelta`, `"90"`, `"90s"`, `"2h30m"`, `"1d"`.

    Args:
        duration: What the user wrote.
        what: The name of the option, for the message.

    Raises:
        DurationError: It is negative, infinite, not a number, a bool, or text that does not parse.

    >>> seconds("2h30m"), seconds("1.5m"), seconds(timedelta(days=1))
    (9000.0, 90.0, 86400.0)
    """
    if isinstance(duration, timedelta):
        value = duration.total_seconds()
    elif isinstance(duration, str):
        value = _parse(duration.strip().lower())
    elif isinstance(duration, bool) or not isinstance(duration, (int, float)):
        value = math.nan
    else:
        value = float(duration)
    if not math.isfinite(value) or value < 0:
        raise DurationError(f"{what}={duration!r} is not a duration: give {_FORMS}")
    return value


def _parse(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    parts = list(_PART.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        return math.nan
    return sum(float(part[1]) * _UNITS[part[2]] for part in parts)


def spell(duration: float) -> str:
    """A short text for a length of time in seconds, for people.

    >>> spell(0.0042), spell(7.31), spell(83), spell(9000), spell(200_000)
    ('4 ms', '7.3 s', '1 min 23 s', '2 h 30 min', '2 d 8 h')
    """
    if duration < 0.9995:
        return f"{duration * 1000:.0f} ms"
    if duration < 59.95:
        return f"{duration:.1f} s"
    _, big, size, small, part = next(span for span in _SPANS if duration < span[0] - span[4] / 2)
    whole, rest = divmod(round(duration / part), size // part)
    return f"{whole} {big}" + (f" {rest} {small}" if rest else "")


def ago(age: float) -> str:
    """How long ago, in one unit: `just now`, `12 s ago`, `2 h ago`.

    >>> ago(0.2), ago(12), ago(7300), ago(90_000)
    ('just now', '12 s ago', '2 h ago', '1 d ago')
    """
    if age < 1:
        return "just now"
    for unit, size, limit in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 86400)):
        if age < limit:
            return f"{age // size:.0f} {unit} ago"
    return f"{age // 86400:.0f} d ago"
