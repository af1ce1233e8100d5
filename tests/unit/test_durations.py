"""Durations as people write them."""

from datetime import timedelta

import pytest

from nbflow.durations import ago, seconds, spell
from nbflow.errors import ConfigurationError, DurationError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (0, 0.0),
        (90, 90.0),
        (1.5, 1.5),
        ("90", 90.0),
        ("90s", 90.0),
        ("1.5m", 90.0),
        ("2h30m", 9000.0),
        ("2h 30m", 9000.0),
        (" 1D ", 86400.0),
        ("1w", 604800.0),
        ("250ms", 0.25),
        ("1m5s", 65.0),
        (timedelta(days=1, seconds=1), 86401.0),
    ],
)
def test_forms(written, meant):
    """A timeout or an expiry would be another one than written."""
    assert seconds(written) == pytest.approx(meant)
    assert type(seconds(written)) is float


@pytest.mark.parametrize(
    "written",
    [
        -1,
        "-1s",
        timedelta(seconds=-1),
        float("nan"),
        float("inf"),
        True,
        None,
        "",
        "soon",
        "1y",
        "s",
        "1s x",
        "1,5s",
        [1],
        "1e3s",
    ],
)
def test_what_is_no_duration_is_refused(written):
    """A typo would become no limit, or a limit of nothing."""
    with pytest.raises(DurationError, match="timeout_seconds=.* is not a duration: give seconds, a timedelta"):
        seconds(written, "timeout_seconds")


def test_error_is_one_of_configuration():
    """`except ConfigurationError` or `except ValueError` around a declaration would miss it."""
    assert issubclass(DurationError, ConfigurationError) and issubclass(DurationError, ValueError)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0, "0 ms"),
        (0.0042, "4 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (7.31, "7.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (83, "1 min 23 s"),
        (3599.6, "1 h"),
        (9000, "2 h 30 min"),
        (86399, "1 d"),
        (200_000, "2 d 8 h"),
        (864_000, "10 d"),
    ],
)
def test_spelling(length, text):
    """The panel would say `60.0 s` or `1 min 60 s`."""
    assert spell(length) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [(0, "just now"), (0.99, "just now"), (12, "12 s ago"), (59.9, "59 s ago"), (7300, "2 h ago"), (90_000, "1 d ago")],
)
def test_ages(age, text):
    """A hit would not say how old its result is, or `60 s ago`."""
    assert ago(age) == text
